"""Kernels for the laws of the kernel simulator: plain numbers, no templates."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from sim.gpu.kernel_hardware import KERNEL_GPUS
from sim.gpu.kernel_occupancy import Resources
from sim.gpu.kernel_work import KernelWork, Product

GPUS = tuple(KERNEL_GPUS.values())
TILES = (
    ((128, 128, 32), (64, 64, 32), 220),
    ((256, 128, 32), (64, 64, 32), 220),
    ((64, 64, 32), (32, 32, 32), 96),
    ((128, 64, 32), (64, 32, 32), 130),
    ((64, 128, 64), (64, 64, 32), 220),
)


def gemm(
    m: int,
    n: int,
    k: int,
    tile: int = 0,
    access: int = 16,
    stages: int = 2,
    split_k: int = 1,
    swizzle: int = 1,
    batch: int = 1,
) -> KernelWork:
    """FP16 with float32 sums, both operands depth-major."""
    block, warp, registers = TILES[tile]
    product = Product(
        *((m, n, k), block, warp, access, access, 2 * k, 2 * k),
        *(2 * batch * m * k, 2 * batch * n * k),
    )
    warps = block[0] * block[1] * block[2] // (warp[0] * warp[1] * warp[2])
    shared = 2 * stages * block[2] * (block[0] + block[1])
    return KernelWork(
        *((product,), batch, 2, "float32", "mma", 8, stages, stages > 2, split_k, swizzle, 2, 16),
        *(0, Resources(32 * warps, registers, shared)),
    )


def with_extent(work: KernelWork, axis: int, extent: int) -> KernelWork:
    """The same kernel on another extent; tensors grow with it, rows stay aligned as they were."""
    old = work.products[0]
    shape = list(old.extent)
    shape[axis] = extent
    m, n, k = shape
    new = replace(
        *(old,), extent=(m, n, k), a_bytes=2 * work.batch * m * k, b_bytes=2 * work.batch * n * k
    )
    return replace(work, products=(new,))


@st.composite
def works(draw: st.DrawFn) -> KernelWork:
    """A kernel of two stages, so that it fits every GPU of the table."""
    sixteens = st.integers(1, 300).map(lambda count: 16 * count)
    return gemm(
        *(draw(sixteens), draw(sixteens), draw(sixteens), draw(st.integers(0, len(TILES) - 1))),
        access=draw(st.sampled_from((16, 8, 4, 2))),
        split_k=draw(st.sampled_from((1, 2, 4))),
        swizzle=draw(st.sampled_from((1, 2, 4, 8))),
        batch=draw(st.sampled_from((1, 1, 3))),
    )
