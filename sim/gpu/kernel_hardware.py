"""GPUs as kernels meet them: multiprocessors, clocks, caches, limits of a threadblock.

Sources. Multiprocessors, boost clocks, memory rates and tensor rates: NVIDIA's data sheets and
architecture white papers (Turing, GA100, GA102, AD102, GH100); a test compares them with the rates
of `sim.gpu.hardware`. Limits per multiprocessor: CUDA C++ Programming Guide, "Technical
Specifications per Compute Capability". L2 read rates: 5,120 bytes a clock for GA100 and GH100
(white papers); TU104 1,270 GB/s measured by Jia et al. (arXiv:1903.07486; the number is from
memory); GA104 and AD102 are assumed to have 64 bytes a clock for each of 32 slices.

`sync_share` is what `mma.sync`, the instruction of kernels written for Ampere, reaches of the peak:
1 up to Ada; on Hopper 0.63 (Luo et al., arXiv:2402.13499; from memory), for the peak is `wgmma`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024


@dataclass(frozen=True)
class KernelGpu:
    """One GPU.

    Attributes:
        name: as a manifest writes it.
        arch: what nvcc compiles for; `sm_90` stands for `sm_90a` too.
        sms: streaming multiprocessors.
        clock_hz: boost clock.
        tensor_flops: per clock and multiprocessor, dense: type of the sums -> operations, of 16-bit
            values summed in float32 or float16 and of 8-bit ones summed in int32.
        half_flops: per clock and multiprocessor, FP16 outside the tensor cores.
        lanes: FP32 lanes of a multiprocessor, which do the epilogues.
        load_lanes: threads whose loads and stores a multiprocessor takes per clock.
        dram_bytes_s: peak rate of the memory.
        l2_bytes: second-level cache.
        l2_clock_bytes: bytes that it gives per clock, to all multiprocessors together.
        shared_bytes: shared memory of a multiprocessor.
        block_shared_bytes: of it, what one threadblock may ask for.
        reserved_bytes: what the runtime keeps of it per threadblock.
        shared_unit_bytes: what shared memory is given out in.
        max_threads: resident threads of a multiprocessor.
        max_blocks: resident threadblocks of a multiprocessor.
        sync_share: of `tensor_flops`, what `mma.sync` reaches.
    """

    name: str
    arch: str
    sms: int
    clock_hz: float
    tensor_flops: dict[str, int]
    half_flops: int
    lanes: int
    load_lanes: int
    dram_bytes_s: float
    l2_bytes: int
    l2_clock_bytes: int
    shared_bytes: int
    block_shared_bytes: int
    reserved_bytes: int
    shared_unit_bytes: int
    max_threads: int
    max_blocks: int
    sync_share: float = 1.0

    def peak_flops(self, accumulate: str) -> float:
        """Return operations per second of all tensor cores."""
        return self.tensor_flops[accumulate] * self.sms * self.clock_hz


REGISTERS = 65_536
"""32-bit registers of a multiprocessor, in four parts, on all of these."""
MAX_THREAD_REGISTERS = 255


def _rates(full: int, wide: int | None = None) -> dict[str, int]:
    """16-bit values summed in float16 at `full`, in float32 at `wide`; 8-bit ones twice as fast."""
    return {"float16": full, "float32": wide or full, "int32": 2 * full}


_TURING = (64 * KIB, 64 * KIB, 0, 256, 1024, 16)
_AMPERE_LARGE = (164 * KIB, 163 * KIB, KIB, 128, 2048, 32)
_AMPERE_SMALL = (100 * KIB, 99 * KIB, KIB, 128, 1536, 16)
_ADA = (100 * KIB, 99 * KIB, KIB, 128, 1536, 24)
_HOPPER = (228 * KIB, 227 * KIB, KIB, 128, 2048, 32)
_MIB = KIB * KIB

_TABLE = (
    KernelGpu(
        *("t4", "sm_75", 40, 1.59e9, _rates(1024), 256, 64, 16),
        *(320e9, 4 * _MIB, 800, *_TURING),
    ),
    KernelGpu(
        *("a100-80", "sm_80", 108, 1.41e9, _rates(2048), 512, 64, 32),
        *(2039e9, 40 * _MIB, 5120, *_AMPERE_LARGE),
    ),
    KernelGpu(
        *("rtx3070", "sm_86", 46, 1.725e9, _rates(1024, 512), 256, 128, 16),
        *(448e9, 4 * _MIB, 2048, *_AMPERE_SMALL),
    ),
    KernelGpu(
        *("rtx4090", "sm_89", 128, 2.52e9, _rates(1024, 512), 256, 128, 16),
        *(1008e9, 72 * _MIB, 2048, *_ADA),
    ),
    KernelGpu(
        *("h100", "sm_90", 132, 1.83e9, _rates(4096), 512, 128, 32),
        *(3352e9, 50 * _MIB, 5120, *_HOPPER, 0.63),
    ),
    KernelGpu(
        *("h200", "sm_90", 132, 1.83e9, _rates(4096), 512, 128, 32),
        *(4800e9, 50 * _MIB, 5120, *_HOPPER, 0.63),
    ),
)
KERNEL_GPUS = {gpu.name: gpu for gpu in _TABLE}


def kernel_gpu(name: str) -> KernelGpu:
    """Return the GPU called `name`.

    Raises:
        ValueError: the table has none of that name.
    """
    if name not in KERNEL_GPUS:
        raise ValueError(f"gpu: {name[:40]!r} is none of {', '.join(KERNEL_GPUS)}")
    return KERNEL_GPUS[name]
