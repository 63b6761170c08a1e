"""What a tiled matrix kernel does, as plain numbers: the input of `sim.gpu.kernel`."""

from __future__ import annotations

from dataclasses import dataclass

from sim.gpu.kernel_occupancy import Resources

Shape = tuple[int, int, int]
"""Rows, columns and depth."""
UNITS = ("mma", "wgmma", "simt")
"""What multiplies: `mma.sync`, Hopper's `wgmma`, or FP16 outside the tensor cores."""


@dataclass(frozen=True)
class Product:
    """One product of a kernel; a back-to-back kernel has two.

    Attributes:
        extent: m, n, k of the (implicit) GEMM.
        tile: of a threadblock.
        warp: of a warp.
        access_a: bytes of A that one thread reads at once; 0 if A never leaves the multiprocessor.
        access_b: bytes of B.
        run_a: bytes that lie side by side in A; decides how rows begin in a memory sector.
        run_b: bytes of B.
        a_bytes: the tensor behind A: an image is read again and again, but is there once.
        b_bytes: the weights.
        epilogue_ops: instructions per output for bias and activation.
        gathered: whether addresses of A are computed access by access (implicit GEMM).
    """

    extent: Shape
    tile: Shape
    warp: Shape
    access_a: int
    access_b: int
    run_a: int
    run_b: int
    a_bytes: int
    b_bytes: int
    epilogue_ops: float = 1.0
    gathered: bool = False


@dataclass(frozen=True)
class KernelWork:
    """One launch.

    Attributes:
        products: one, or two whose second reads the first's output on chip.
        batch: independent products of the same extents.
        element_bytes: size of A's and B's elements.
        accumulate: type of the sums, a key of `KernelGpu.tensor_flops`.
        unit: one of `UNITS`.
        depth_step: depth of one tensor instruction.
        stages: tiles of A and B in flight.
        asynchronous: whether copies to shared memory pass the registers by.
        split_k: parts of the depth that are added up through memory.
        swizzle: columns of threadblocks that are walked before the next row.
        output_bytes: size of an output element.
        access_c: bytes of the output that one thread writes at once.
        residual_bytes: of tensors that the epilogue reads besides.
        resources: of a threadblock.
        staged: whether the first product's output passes through shared memory.
        cluster: rows and columns of threadblocks that read what they share once (`wgmma` only).

    Raises:
        ValueError: there is nothing to do, or a field is out of range.
    """

    products: tuple[Product, ...]
    batch: int
    element_bytes: int
    accumulate: str
    unit: str
    depth_step: int
    stages: int
    asynchronous: bool
    split_k: int
    swizzle: int
    output_bytes: int
    access_c: int
    residual_bytes: int
    resources: Resources
    staged: bool = False
    cluster: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        if not 1 <= len(self.products) <= 2:
            raise ValueError(f"products: {len(self.products)}, not one or two")
        if self.unit not in UNITS:
            raise ValueError(f"unit: {self.unit!r} is none of {', '.join(UNITS)}")
        numbers = (self.batch, self.stages - 1, self.split_k, self.swizzle, self.access_c)
        numbers += self.cluster
        shapes = [e for p in self.products for e in (*p.extent, *p.tile, *p.warp)]
        if min(*numbers, *shapes) < 1:
            raise ValueError(f"products: a number below 1 in {self}")

    @property
    def flops(self) -> int:
        """2 batch m n k, over all products."""
        return 2 * self.batch * sum(p.extent[0] * p.extent[1] * p.extent[2] for p in self.products)

    @property
    def least_bytes(self) -> int:
        """What must move between chip and memory: every tensor once, intermediates not."""
        m, n, _ = self.products[-1].extent
        operands = sum((p.a_bytes if p.access_a else 0) + p.b_bytes for p in self.products)
        return operands + self.residual_bytes + self.batch * m * n * self.output_bytes

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of threadblocks, of one product of the batch and one part of K."""
        m, n, _ = self.products[0].extent
        rows, columns, _ = self.products[0].tile
        return -(-m // rows), -(-n // columns)

    @property
    def blocks(self) -> int:
        """Threadblocks of the launch."""
        rows, columns = self.grid
        return rows * columns * self.batch * self.split_k
