"""Cycles of one multiprocessor while `o` threadblocks of a kernel are on it.

A step along the depth keeps four units busy, each for a number of cycles per threadblock:

    tensor   2 m n k / operations per clock (fewer where there are not four warps)
    memory   loads, stores and shared-memory accesses, by bytes and by lanes
    issue    warp instructions / 4 schedulers
    L2       bytes of the tiles, in sectors of 32 / this multiprocessor's share of the L2's rate

They overlap, not perfectly: `o` threadblocks take a smooth maximum (an l3 norm) of the four. A
threadblock alone waits for its barrier besides, and for loads that were not asked for early
enough: a tile is there `latency` cycles after it was asked for, `stages - 1` steps before.
"""

from __future__ import annotations

from math import gcd

from sim.gpu.kernel_constants import STANDARD, Constants
from sim.gpu.kernel_hardware import KernelGpu
from sim.gpu.kernel_work import KernelWork, Product

SHARED_CLOCK_BYTES = 128
"""32 banks of 4 bytes."""
SM_L2_CLOCK_BYTES = 64
"""What one multiprocessor takes from the L2 per clock."""
SECTOR = 32
_WARP = 32
_SCHEDULERS = 4


def warps_of(product: Product) -> int:
    """Return the warps (or warp groups) of a threadblock that multiply."""
    count = 1
    for tile, warp in zip(product.tile, product.warp, strict=True):
        count *= max(1, tile // warp)
    return count


def tensor_clock_flops(work: KernelWork, gpu: KernelGpu) -> float:
    """Return operations per clock of one multiprocessor, with all four schedulers at work."""
    if work.unit == "simt":
        return gpu.half_flops
    share = gpu.sync_share if work.unit == "mma" else 1.0
    return gpu.tensor_flops[work.accumulate] * share


def step_cycles(
    work: KernelWork,
    product: Product,
    gpu: KernelGpu,
    resident: int,
    constants: Constants = STANDARD,
) -> float:
    """Return the cycles in which `resident` threadblocks all do one step along the depth."""
    warps = warps_of(product) * (4 if work.unit == "wgmma" else 1)
    tensor, memory, issue, l2 = _units(work, product, gpu, constants)
    fed = min(1.0, resident * warps / _SCHEDULERS)
    together = constants.smooth_max(
        *(resident * tensor / fed, resident * memory, resident * issue, resident * l2)
    )
    alone = (
        constants.smooth_max(tensor / min(1.0, warps / _SCHEDULERS), memory, issue, l2)
        + constants.barrier
    )
    late = constants.latency / (work.stages - 1) if _loads(product) else 0.0
    return max(together, alone, late)


def _loads(product: Product) -> bool:
    return product.access_a > 0 or product.access_b > 0


def _units(
    work: KernelWork, product: Product, gpu: KernelGpu, constants: Constants
) -> tuple[float, float, float, float]:
    """Return cycles per threadblock and step: tensor, memory, issue, L2."""
    m, n, k = product.tile
    size = work.element_bytes
    flops = 2 * m * n * k
    tensor = flops / tensor_clock_flops(work, gpu)
    rows, columns = work.cluster
    sides = [
        (extent * k * size, access, run, sharers)
        for extent, access, run, sharers in (
            (m, product.access_a, product.run_a, columns),
            (n, product.access_b, product.run_b, rows),
        )
        if access
    ]
    moved, loads = _copies(work, gpu, [(total, access) for total, access, _, _ in sides])
    read = _fragment_bytes(work, product)
    plain, gathered = constants.plain_instructions, constants.gather_instructions
    addresses = gathered if product.gathered else plain
    instructions = loads * (1.0 + addresses) + read / (16 * _WARP) + _products(work, product)
    instructions += constants.loop_instructions * warps_of(product)
    l2 = sum(total * sector_share(run, k * size) / among for total, _, run, among in sides)
    memory = moved + read / SHARED_CLOCK_BYTES
    return tensor, memory, instructions / _SCHEDULERS, l2 / l2_clock_bytes(gpu, constants)


def _copies(work: KernelWork, gpu: KernelGpu, sides: list[tuple[int, int]]) -> tuple[float, float]:
    """Return the memory pipe's cycles and the warp instructions of (bytes, bytes per access).

    Hopper's copy engine takes neither: one thread asks for a whole tile.
    """
    stored = sum(total for total, _ in sides) / SHARED_CLOCK_BYTES
    if work.unit == "wgmma":
        return stored, 0.0
    loads = sum(total / access / _WARP for total, access in sides)
    cycles = sum(
        total / access / _WARP * max(_WARP / gpu.load_lanes, _WARP * access / SHARED_CLOCK_BYTES)
        for total, access in sides
    )
    if not work.asynchronous:  # through registers, then stored 16 bytes at a time
        cycles += stored
    return cycles, loads


def _fragment_bytes(work: KernelWork, product: Product) -> int:
    """Return the bytes that warps read from shared memory; A is in registers for a second one."""
    rows, columns, depth = product.warp
    a = rows if product.access_a or work.staged else 0
    return warps_of(product) * (a + columns) * depth * work.element_bytes


def _products(work: KernelWork, product: Product) -> float:
    """Return warp instructions that multiply."""
    m, n, k = product.tile
    if work.unit == "simt":  # two FP16 values a lane
        return m * n * k / (2 * _WARP)
    rows = 64 if work.unit == "wgmma" else 16
    columns = product.warp[1] if work.unit == "wgmma" else 8
    return m * n * k / (rows * columns * work.depth_step)


def sector_share(run: int, piece: int) -> float:
    """Return bytes that pass the L2 per byte wanted, where pieces begin within a sector.

    Pieces of `piece` bytes begin at multiples of `run` bytes, so at multiples of their greatest
    common divisor within a sector; on average 1 - divisor / 32 sectors more are touched.
    """
    step = gcd(run, SECTOR)
    sectors = -(-piece // SECTOR)
    return (sectors + 1.0 - step / SECTOR) * SECTOR / piece


def l2_clock_bytes(gpu: KernelGpu, constants: Constants = STANDARD) -> float:
    """Return bytes per clock that a multiprocessor gets when all of them ask."""
    return min(SM_L2_CLOCK_BYTES, constants.l2_share * gpu.l2_clock_bytes / gpu.sms)


def finish_cycles(
    work: KernelWork,
    product: Product,
    gpu: KernelGpu,
    last: bool,
    constants: Constants = STANDARD,
) -> float:
    """Return the cycles of a threadblock's epilogue; of a first product's too, if not `last`."""
    m, n, _ = product.tile
    outputs = m * n
    arithmetic = outputs * (product.epilogue_ops + 2.0) / gpu.lanes
    if not last:
        staged = 2 * outputs * work.element_bytes / SHARED_CLOCK_BYTES if work.staged else 0.0
        return arithmetic + staged + constants.barrier
    exchange = 2 * 4 * outputs / SHARED_CLOCK_BYTES
    stores = outputs * work.output_bytes / work.access_c / _WARP
    memory = exchange + stores * _WARP / gpu.load_lanes
    issue = stores * (1.0 + constants.plain_instructions) / _SCHEDULERS
    total_m, total_n, _ = product.extent
    residual = work.residual_bytes / (work.batch * total_m * total_n)
    moved = outputs * (work.output_bytes + residual)
    moved += outputs * 2 * work.output_bytes * (work.split_k - 1) / work.split_k
    return (
        constants.smooth_max(arithmetic, memory, issue, moved / l2_clock_bytes(gpu, constants))
        + constants.barrier
    )
