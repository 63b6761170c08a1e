"""Occupancy, by NVIDIA's own calculator where the toolkit is, and by documented cases."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from sim.gpu.hardware import GPUS as RATED
from sim.gpu.kernel_hardware import KERNEL_GPUS, REGISTERS, KernelGpu, kernel_gpu
from sim.gpu.kernel_occupancy import Resources, blocks_per_sm
from tests.needs import need

CASES = 4000
CALLER = r"""
#include <cstdio>
#include <cuda_occupancy.h>
int main() {
  int major, minor, threads, registers, most, blocks; long shared, sm, block, reserved;
  while (std::scanf("%d %d %d %d %ld %d %ld %ld %ld", &major, &minor, &threads, &registers,
                    &shared, &most, &sm, &block, &reserved) == 9) {
    cudaOccDeviceProp p; p.computeMajor = major; p.computeMinor = minor;
    p.maxThreadsPerBlock = 1024; p.maxThreadsPerMultiprocessor = most;
    p.regsPerBlock = 65536; p.regsPerMultiprocessor = 65536; p.warpSize = 32;
    p.sharedMemPerBlock = 48 * 1024; p.sharedMemPerMultiprocessor = sm; p.numSms = 1;
    p.sharedMemPerBlockOptin = block; p.reservedSharedMemPerBlock = reserved;
    cudaOccFuncAttributes a; a.maxThreadsPerBlock = 1024; a.numRegs = registers;
    a.sharedSizeBytes = 0; a.shmemLimitConfig = FUNC_SHMEM_LIMIT_OPTIN;
    a.maxDynamicSharedSizeBytes = block;
    cudaOccDeviceState s; cudaOccResult r;
    s.carveoutConfig = 100;
    blocks = cudaOccMaxActiveBlocksPerMultiprocessor(&r, &p, &a, &s, threads, shared)
                 == CUDA_OCC_SUCCESS ? r.activeBlocksPerMultiprocessor : -1;
    std::printf("%d\n", blocks);
  }
}
"""


def test_as_nvidias_calculator_says(tmp_path: Path) -> None:
    """Random resources on every GPU of the table, through `cuda_occupancy.h`."""
    nvcc = need("nvcc")
    assert nvcc.present
    (tmp_path / "caller.cu").write_text(CALLER, encoding="utf-8")
    build = ["nvcc", "-O1", "-o", str(tmp_path / "caller"), str(tmp_path / "caller.cu")]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    luck = np.random.default_rng(75)
    cases = []
    for _ in range(CASES):
        gpu = list(KERNEL_GPUS.values())[int(luck.integers(len(KERNEL_GPUS)))]
        threads, registers = int(luck.integers(1, 1025)), int(luck.integers(16, 256))
        cases.append((gpu, Resources(threads, registers, int(luck.integers(0, 170_000)))))
    lines = [
        f"{gpu.arch[3]} {gpu.arch[4]} {r.threads} {r.registers} {r.shared_bytes} "
        f"{gpu.max_threads} {gpu.shared_bytes} {gpu.block_shared_bytes} {gpu.reserved_bytes}"
        for gpu, r in cases
    ]
    done = subprocess.run(
        [str(tmp_path / "caller")],
        input="\n".join(lines),
        text=True,
        capture_output=True,
        check=True,
        timeout=60,
    )
    theirs = [int(line) for line in done.stdout.split()]
    ours = [blocks_per_sm(r, gpu)[0] for gpu, r in cases]
    wrong = [
        (gpu.name, r, o, t) for (gpu, r), o, t in zip(cases, ours, theirs, strict=True) if o != t
    ]
    assert not wrong[:5]
    assert len(set(theirs)) > 8


@pytest.mark.parametrize(
    ("name", "resources", "blocks", "limit"),
    [
        # CUDA C++ Best Practices Guide, "Register Pressure" and "Occupancy", of a machine with as
        # many registers and threads: 37 registers give 12 blocks of 128 threads (75 %) or 4 of 320
        # (63 %), and 32 registers are the most that all threads can have.
        ("a100-80", Resources(128, 37, 0), 12, "registers"),
        ("a100-80", Resources(320, 37, 0), 4, "registers"),
        ("a100-80", Resources(256, 32, 0), 8, "threads"),
        ("a100-80", Resources(256, 33, 0), 6, "registers"),
        ("a100-80", Resources(128, 63, 0), 8, "registers"),
        ("a100-80", Resources(1024, 32, 0), 2, "threads"),
        ("a100-80", Resources(32, 16, 0), 32, "blocks"),
        ("a100-80", Resources(128, 64, 65_536), 2, "shared memory"),
        ("a100-80", Resources(256, 32, 163 * 1024), 1, "shared memory"),
        ("a100-80", Resources(256, 32, 163 * 1024 + 1), 0, "shared memory"),
        ("t4", Resources(1024, 64, 0), 1, "threads"),
        ("t4", Resources(64, 32, 0), 16, "threads"),
        ("t4", Resources(256, 216, 49_152), 1, "registers"),
        ("rtx3070", Resources(256, 32, 50 * 1024), 1, "shared memory"),
        ("h100", Resources(384, 168, 0), 1, "registers"),
        ("t4", Resources(512, 255, 0), 0, "registers"),
    ],
)
def test_known_cases(name: str, resources: Resources, blocks: int, limit: str) -> None:
    assert blocks_per_sm(resources, kernel_gpu(name)) == (blocks, limit)


@pytest.mark.parametrize("gpu", KERNEL_GPUS.values(), ids=lambda g: g.name)
def test_more_of_any_resource_never_admits_more_blocks(gpu: KernelGpu) -> None:
    luck = np.random.default_rng(7)
    for _ in range(300):
        threads, registers = int(luck.integers(1, 1025)), int(luck.integers(16, 256))
        shared = int(luck.integers(0, 100_000))
        base, _ = blocks_per_sm(Resources(threads, registers, shared), gpu)
        for more in (
            Resources(min(1024, threads + 64), registers, shared),
            Resources(threads, registers + 8, shared),
            Resources(threads, registers, shared + 4096),
        ):
            assert blocks_per_sm(more, gpu)[0] <= base
        assert base * threads <= gpu.max_threads
        assert base * threads * registers <= REGISTERS
        assert base * shared <= gpu.shared_bytes


def test_rates_are_those_of_the_serving_panels_table() -> None:
    for name in KERNEL_GPUS.keys() & RATED.keys():
        mine, rated = KERNEL_GPUS[name], RATED[name]
        assert mine.peak_flops("float32") == pytest.approx(rated.flops, rel=0.01)
        assert mine.dram_bytes_s == rated.bandwidth_bytes_s
    assert len(KERNEL_GPUS.keys() & RATED.keys()) >= 4
    assert KERNEL_GPUS["rtx3070"].peak_flops("float16") == pytest.approx(81.3e12, rel=0.01)
    assert KERNEL_GPUS["rtx4090"].peak_flops("float16") == pytest.approx(330.3e12, rel=0.01)
    assert KERNEL_GPUS["h200"].peak_flops("int32") == pytest.approx(1979e12, rel=0.01)


@pytest.mark.parametrize(
    "resources", [Resources(0, 32, 0), Resources(1025, 32, 0), Resources(32, 0, 0)]
)
def test_impossible_resources_are_refused(resources: Resources) -> None:
    with pytest.raises(ValueError, match=r"(threads|registers): "):
        blocks_per_sm(resources, kernel_gpu("t4"))
