"""Seconds of one launch of a tiled matrix kernel: a pruner, not a predictor.

    time = launch + smooth maximum(multiprocessors, DRAM)

*Multiprocessors*: threadblocks come in waves of (resident per multiprocessor x multiprocessors);
the last wave may be a part of one and then has fewer threadblocks per multiprocessor. What one wave
takes is in `kernel_cycles`. *DRAM*: every tensor once, and an operand that outgrows half of the L2
once more for each further group of threadblocks that meets it; swizzles decide how wide groups are.

The model tells candidates of one operator apart; absolute times may be wrong by tens of per cent
and more (docs/gpu-kernels.md says by how much it was, where). It never is faster than the
roofline, and never has more work take less time. Left out: power limits and clocks below boost,
bank conflicts, the order in which threadblocks end, partition camping, launches that overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim.gpu.kernel_constants import STANDARD, Constants
from sim.gpu.kernel_cycles import finish_cycles, step_cycles, tensor_clock_flops
from sim.gpu.kernel_hardware import KernelGpu
from sim.gpu.kernel_occupancy import blocks_per_sm
from sim.gpu.kernel_work import KernelWork


@dataclass(frozen=True)
class KernelTime:
    """Where a launch's time goes.

    Attributes:
        seconds: of the launch.
        resident: threadblocks per multiprocessor.
        limit: what limits them.
        waves: of threadblocks, the last one as a fraction.
        sm_s: the multiprocessors' share, alone.
        dram_s: the memory's.
        dram_bytes: bytes between the memory and the L2.
    """

    seconds: float
    resident: int
    limit: str
    waves: float
    sm_s: float
    dram_s: float
    dram_bytes: float


def kernel_time(work: KernelWork, gpu: KernelGpu, constants: Constants = STANDARD) -> KernelTime:
    """Return the modelled time of one launch of `work` on `gpu`.

    Raises:
        ValueError: a threadblock does not fit on a multiprocessor.
    """
    fit, limit = blocks_per_sm(work.resources, gpu)
    if fit < 1:
        raise ValueError(f"resources: a threadblock of {work.resources} exceeds {limit}")
    slots = fit * gpu.sms
    full, rest = divmod(work.blocks, slots)
    cycles = full * _wave_cycles(work, gpu, fit, fit, constants)
    if rest:
        cycles += _wave_cycles(work, gpu, -(-rest // gpu.sms), fit, constants)
    cycles += constants.lock * (work.split_k - 1)
    if fit > 1:  # the first start and the last end have nothing beside them
        cycles += constants.fill + _finish(work, gpu, constants)
    sm_s = cycles / gpu.clock_hz
    moved = dram_bytes(work, gpu, min(work.blocks, slots), constants)
    dram_s = moved / (constants.dram_share * gpu.dram_bytes_s)
    seconds = constants.launch_s + constants.smooth_max(sm_s, dram_s)
    return KernelTime(seconds, fit, limit, work.blocks / slots, sm_s, dram_s, moved)


def _wave_cycles(
    work: KernelWork, gpu: KernelGpu, resident: int, fit: int, constants: Constants
) -> float:
    """Return the cycles that `resident` threadblocks of every multiprocessor add.

    Where several fit, one's epilogue runs beside another's main loop. A threadblock that fills its
    multiprocessor starts, loops and ends by itself.
    """
    loop = 0.0
    for product in work.products:
        depth = -(-product.extent[2] // work.split_k)
        steps = -(-depth // product.tile[2])
        loop += steps * step_cycles(work, product, gpu, resident, constants)
    finish = resident * _finish(work, gpu, constants)
    return constants.smooth_max(loop, finish) if fit > 1 else loop + finish + constants.fill


def _finish(work: KernelWork, gpu: KernelGpu, constants: Constants) -> float:
    """Return the cycles of one threadblock's epilogues."""
    last = len(work.products) - 1
    return sum(
        finish_cycles(work, product, gpu, place == last, constants)
        for place, product in enumerate(work.products)
    )


def dram_bytes(
    work: KernelWork, gpu: KernelGpu, together: int, constants: Constants = STANDARD
) -> float:
    """Return the bytes that move between DRAM and L2.

    Args:
        work: the launch.
        gpu: whose L2 it is.
        together: threadblocks that run at the same time.
        constants: of the model.
    """
    total = float(work.least_bytes)
    if work.split_k > 1:
        m, n, _ = work.products[-1].extent
        partial = 2.0 * (work.split_k - 1) * m * n * work.output_bytes
        total += partial if partial > constants.cached_share * gpu.l2_bytes else 0.0
    first = work.products[0]
    down, across = work.grid
    wide = min(across, work.swizzle)
    rows = max(1, min(down, together // wide))
    columns = min(across, wide * max(1, together // (wide * down)))
    kept = constants.cached_share * gpu.l2_bytes
    if first.access_a and first.a_bytes / work.batch > kept:
        total += (-(-across // columns) - 1) * first.a_bytes
    if first.b_bytes / work.batch > kept:
        total += (-(-down // rows) - 1) * first.b_bytes
    return total


def roofline_s(work: KernelWork, gpu: KernelGpu) -> float:
    """Return the least seconds: all operations at the peak, or every tensor once, no launch."""
    peak = tensor_clock_flops(work, gpu) * gpu.sms * gpu.clock_hz
    return max(work.flops / peak, work.least_bytes / gpu.dram_bytes_s)


def stream_s(moved_bytes: float, gpu: KernelGpu, constants: Constants = STANDARD) -> float:
    """Return the seconds of an element-wise kernel that reads and writes `moved_bytes` in all."""
    return constants.launch_s + moved_bytes / (constants.dram_share * gpu.dram_bytes_s)
