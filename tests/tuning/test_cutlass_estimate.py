"""From operators and kernels to the simulator's numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.gpu.kernel import roofline_s
from sim.gpu.kernel_hardware import KERNEL_GPUS, kernel_gpu
from tuning.operators import Conv2d, Epilogue, Gemm, Pair
from tuning.templates.cutlass.architecture import ARCHITECTURES
from tuning.templates.cutlass.candidates import instances, native
from tuning.templates.cutlass.estimate import estimate, registers_of, tensor_elements, work_of
from tuning.templates.cutlass.params import Kernel

RELU = Epilogue(("bias", "relu"))
ARCH_GPU = {gpu.arch: gpu for gpu in KERNEL_GPUS.values()} | {"sm_90a": kernel_gpu("h200")}


@pytest.mark.parametrize("arch", list(ARCHITECTURES))
def test_every_sample_program_fits_a_gpu_of_its_architecture(arch: str) -> None:
    gpu = ARCH_GPU[arch]
    for kernel in instances(arch):
        found = estimate(Gemm(1024, 1024, 1024), kernel, gpu)
        assert found.resident >= 1
        assert found.seconds > roofline_s(work_of(Gemm(1024, 1024, 1024), kernel), gpu)


@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 4), st.integers(9, 40))
def test_pixels_that_a_convolution_reads_are_counted(
    window: int, stride: int, padding: int, size: int
) -> None:
    """Against marking them one by one."""
    padding = min(padding, window - 1)
    shape = ((window, window), (stride, stride), (padding, padding))
    part = Conv2d(2, size, size, 3, 8, *shape)
    rows = {
        at
        for out in range(part.out_height)
        for at in range(out * stride - padding, out * stride - padding + window)
        if 0 <= at < size
    }
    counted = tensor_elements(part)
    marked = 2 * 3 * len(rows) ** 2
    assert marked <= counted <= 2 * 3 * min(size, len(rows) + 2 * padding) ** 2


def test_a_fused_pair_moves_less_and_launches_once() -> None:
    relu = Epilogue(("relu",))
    first, second = (Gemm(131072, n, k, epilogue=relu) for n, k in ((32, 96), (96, 32)))
    pair = Pair(first, second)
    t4 = kernel_gpu("t4")
    fused = min(estimate(pair, k, t4).seconds for k in native(pair, "sm_75", t4.sms))
    apart = sum(
        min(estimate(half, k, t4).seconds for k in native(half, "sm_75", t4.sms))
        for half in (pair.first, pair.second)
    )
    work = work_of(pair, native(pair, "sm_75", t4.sms)[0])
    kept = 2 * first.m * first.n * 2
    assert work.least_bytes + kept == sum(
        work_of(half, native(half, "sm_75", t4.sms)[0]).least_bytes
        for half in (pair.first, pair.second)
    )
    assert fused < apart


def test_registers_are_within_an_eighth_of_what_the_compiler_says() -> None:
    """nvcc 13 on CUTLASS 4.2, bias and ReLU: (threadblock tile, warp tile, stages) to registers."""
    said = {
        ("sm_75", (128, 128, 32), (64, 64, 32), 2): 216,
        ("sm_75", (256, 128, 32), (64, 64, 32), 2): 210,
        ("sm_75", (64, 64, 32), (32, 32, 32), 2): 85,
        ("sm_80", (128, 128, 32), (64, 64, 32), 3): 230,
        ("sm_80", (256, 128, 32), (64, 64, 32), 3): 226,
        ("sm_80", (64, 64, 32), (32, 32, 32), 3): 95,
    }
    for (arch, tile, warp, stages), registers in said.items():
        step = (16, 8, 8) if arch == "sm_75" else (16, 8, 16)
        kernel = Kernel(
            *(arch, "gemm", "float16", "float32", "float16", "tn", 8, 8, 8),
            *(tile, warp, step, stages),
        )
        assert registers_of(kernel) == pytest.approx(registers, rel=0.125)


def test_registers_of_the_compiler_decide_over_the_estimate() -> None:
    kernel = instances("sm_80")[0]
    a100 = kernel_gpu("a100-80")
    given_ones = [estimate(Gemm(4096, 4096, 64), kernel, a100, r).resident for r in (64, 128, 255)]
    assert given_ones == sorted(given_ones, reverse=True)
    assert given_ones[0] > given_ones[-1]


def test_costly_activations_cost_and_cheap_ones_hardly_do() -> None:
    t4 = kernel_gpu("t4")
    times = {}
    for step in ("relu", "hardswish", "gelu", "softplus"):
        op = Gemm(8192, 1024, 64, epilogue=Epilogue(("bias", step)))
        times[step] = min(estimate(op, k, t4).seconds for k in native(op, "sm_75", t4.sms))
    assert times["relu"] <= times["hardswish"] <= times["gelu"]
    assert times["softplus"] < 2 * times["relu"]


def test_automatic_stages_and_clusters_reach_the_simulator() -> None:
    h200 = kernel_gpu("h200")
    op = Gemm(4096, 4096, 4096)
    kernels = [k for k in instances("sm_90a") if k.tile == (128, 256, 64)]
    alone, shared = (
        estimate(op, replace(kernels[0], cluster=cluster), h200).seconds
        for cluster in ((1, 1, 1), (2, 1, 1))
    )
    assert shared < alone
