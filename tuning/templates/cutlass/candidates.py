"""Which kernels an operator may have, and which tens are worth measuring (Bolt section 3.2.2).

What the upstream generator does otherwise, and why not here:

- It asks that rows divide by the alignment; only what lies side by side in memory must.
- It never tries a swizzle or a split of the depth; both are here, for the tiles that lead.
- It keeps the winner's tile when it adds the epilogue; here a kernel is its epilogue too.
- It changes a tile's description in place for 1-byte elements; here everything is frozen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.templates.cutlass.architecture import (
    ELEMENT_BITS,
    LEAST_COPY_BYTES,
    WIDEST_ACCESS_BYTES,
    Architecture,
    architecture,
)
from tuning.templates.cutlass.params import SPLITS, SWIZZLES, Family, Kernel, Layout
from tuning.templates.cutlass.problem import (
    HALF,
    Precision,
    Problem,
    family_of,
    halves,
    problem_of,
    steps_of,
    widest,
)
from tuning.templates.cutlass.residence import refusal
from tuning.templates.cutlass.structure import is_simple
from tuning.templates.cutlass.tiles import Tile, pair_tiles, tiles

MOST = 40
"""Native candidates of an operator at most."""
_LEADERS = 4
"""Shapes that are also tried with another swizzle, and with the depth split."""
_LEAST_SPLIT_K = 512
"""Depth of each part, at least: less does not pay for adding parts up."""
_WORTH_SPLITTING = 0.1
"""Share of multiprocessors that a split must add to the last wave to be tried."""


def instances(
    arch: str, precision: Precision = HALF, aligns: Sequence[int] = (8,)
) -> tuple[Kernel, ...]:
    """Return the sample programs of an architecture: a GEMM per tile and alignment, no shape.

    Alignments that a tile's copies cannot have are left out.
    """
    found = architecture(arch)
    return tuple(
        _kernel(found, "gemm", "tn", precision, tile, (align, align, align), "none")
        for align in aligns
        for tile in tiles(found, precision.element)
        if _copies(found, tile, precision.element, align)
    )


def _copies(arch: Architecture, tile: Tile, element: str, align: int) -> bool:
    width = align * ELEMENT_BITS[element] // 8
    if arch.api == "3.x":
        return width == 16
    return tile.stages <= 2 or width >= LEAST_COPY_BYTES


def _kernel(
    arch: Architecture,
    family: Family,
    layout: Layout,
    precision: Precision,
    tile: Tile,
    aligns: tuple[int, int, int],
    epilogue: str,
) -> Kernel:
    return Kernel(
        *(arch.name, family, precision.element, precision.accumulate, precision.output),
        *(layout, *aligns, tile.block, tile.warp, tile.instruction, tile.stages),
        cluster=tile.cluster,
        schedule=tile.schedule,
        epilogue=epilogue,
    )


def rejected(operator: Operator, kernel: Kernel) -> str | None:
    """Return why the kernel cannot compute the operator, or None if it can."""
    if kernel.family != (family := family_of(operator)):
        return f"is a template for {kernel.family}, not {family}"
    parts = halves(operator)
    steps = [steps_of(part) for part in parts]
    own = [kernel.epilogue] if len(parts) == 1 else [kernel.epilogue0, kernel.epilogue]
    if steps != own:
        return f"has the epilogue {' and '.join(own)}, not {' and '.join(steps)}"
    if isinstance(operator, Pair):
        return refusal(kernel, operator)
    problem = problem_of(parts[0])
    if kernel.layout != problem.layout:
        return f"is for layout {kernel.layout}, not {problem.layout}"
    for name, run, align in (
        ("align_a", problem.run_a, kernel.align_a),
        ("align_b", problem.run_b, kernel.align_b),
        ("align_c", problem.run_c, kernel.align_c),
    ):
        if run % align:
            return f"{name}: {align} does not divide {run}"
    if kernel.split_k > 1 and problem.k < kernel.split_k * kernel.tile[2]:
        return f"split_k: {kernel.split_k} parts of a depth of {problem.k}"
    return None


def candidates(operator: Operator, arch: str, precision: Precision = HALF) -> list[Kernel]:
    """Return every kernel that the templates have for the operator, in a fixed order."""
    found = architecture(arch)
    if isinstance(operator, Pair):
        return list(_pairs(operator, found, precision))
    plain = list(_plain(operator, found, precision))
    return [
        kernel
        for base in plain
        for swizzle in SWIZZLES
        for split in _splits(base, operator)
        if rejected(operator, kernel := replace(base, swizzle=swizzle, split_k=split)) is None
    ]


def native(operator: Operator, arch: str, sms: int, precision: Precision = HALF) -> list[Kernel]:
    """Return the tens that are worth measuring, best guess first.

    Args:
        operator: what to compute.
        arch: target of nvcc.
        sms: multiprocessors of the GPU, which a grid of threadblocks should fill.
        precision: types of the tensors.
    """
    found = architecture(arch)
    if isinstance(operator, Pair):
        return list(_pairs(operator, found, precision))[:MOST]
    problem = problem_of(halves(operator)[0])
    plain = sorted(_plain(operator, found, precision), key=lambda k: _rank(k, problem, sms))
    leaders = _leaders(plain)
    more = [replace(kernel, swizzle=swizzle) for kernel in leaders for swizzle in (4,)]
    for kernel in leaders:
        allowed = _splits(kernel, operator)
        more += [replace(kernel, split_k=parts) for parts in _fuller(kernel, problem, sms, allowed)]
    ordered = [*leaders, *more, *plain]
    return [k for k in dict.fromkeys(ordered) if rejected(operator, k) is None][:MOST]


def _leaders(plain: Sequence[Kernel]) -> list[Kernel]:
    """Return the best of each of the first few threadblock shapes."""
    first: dict[tuple[int, int], Kernel] = {}
    for kernel in plain:
        first.setdefault(kernel.tile[:2], kernel)
    return list(first.values())[:_LEADERS]


def _plain(operator: Operator, arch: Architecture, precision: Precision) -> Iterator[Kernel]:
    """Yield one kernel per tile: the widest accesses, no swizzle, no split."""
    product = halves(operator)[0]
    problem = problem_of(product)
    align_a = widest(precision.element, problem.run_a)
    align_b = widest(precision.element, problem.run_b)
    align_c = widest(precision.output, problem.run_c)
    if arch.api == "3.x" and (
        problem.family not in ("gemm", "batched")
        or align_c * ELEMENT_BITS[precision.output] // 8 < WIDEST_ACCESS_BYTES
    ):
        return
    if precision.element == "int8" and problem.layout != "tn":
        return
    for tile in tiles(arch, precision.element):
        if _copies(arch, tile, precision.element, min(align_a, align_b)):
            aligns = (align_a, align_b, align_c)
            steps = steps_of(product)
            yield _kernel(arch, problem.family, problem.layout, precision, tile, aligns, steps)


def blocks_of(kernel: Kernel, problem: Problem) -> int:
    """Return the threadblocks of a call."""
    down, across = -(-problem.m // kernel.tile[0]), -(-problem.n // kernel.tile[1])
    return down * across * problem.batch * kernel.split_k


def _rank(kernel: Kernel, problem: Problem, sms: int) -> tuple[float, ...]:
    """Order by the guidelines; the least is best.

    First the share of multiprocessors that get a threadblock, and of the tiles' area that is
    output, then products per value that a warp loads, then newer before older instructions, then
    4 or 8 warps before others, then products per value that a threadblock loads.
    """
    m, n, _ = kernel.tile
    area = problem.m * problem.n / (-(-problem.m // m) * m * -(-problem.n // n) * n)
    blocks = blocks_of(kernel, problem)
    busy = min(1.0, blocks / sms)
    rows, columns, _ = kernel.warp
    reuse = rows * columns / (rows + columns)
    odd = 0 if kernel.warps in (4, 8) else 1
    depth = kernel.instruction[2]
    return -round(busy * area, 1), -reuse, -depth, odd, -(m * n / (m + n))


def _fuller(kernel: Kernel, problem: Problem, sms: int, allowed: Sequence[int]) -> tuple[int, ...]:
    """Return the two splits of the depth that fill the last wave best; none if it is full as is.

    A product with fewer threadblocks than multiprocessors, or with a little more than a whole
    number of waves, leaves most of them idle in the end.
    """

    def busy(parts: int) -> float:
        blocks = parts * blocks_of(kernel, problem)
        return blocks / (-(-blocks // sms) * sms)

    better = [parts for parts in allowed if busy(parts) > busy(1) + _WORTH_SPLITTING]
    return tuple(sorted(better, key=busy, reverse=True)[:2])


def _splits(kernel: Kernel, operator: Operator) -> tuple[int, ...]:
    whole = kernel.family != "gemm" or kernel.architecture.api == "3.x"
    whole = whole or kernel.element == "int8" or not is_simple(kernel.epilogue)
    product = halves(operator)[0]
    if whole or not isinstance(product, Gemm):
        return (1,)
    return tuple(s for s in SPLITS if s == 1 or product.k >= s * _LEAST_SPLIT_K)


def _pairs(operator: Pair, arch: Architecture, precision: Precision) -> Iterator[Kernel]:
    first, second = operator.first, operator.second
    wide = 128 // ELEMENT_BITS[precision.element]
    family: Family = "b2b_conv" if isinstance(first, Conv2d) else "b2b_gemm"
    n0, n1 = problem_of(first).n, problem_of(second).n
    for shape in pair_tiles(arch, precision.element, n0, n1):
        tile = shape.first
        try:
            kernel = Kernel(
                *(arch.name, family, precision.element, precision.accumulate, precision.element),
                *("tn", wide, wide, widest(precision.element, n1)),
                *(tile.block, tile.warp, tile.instruction, tile.stages),
                epilogue=steps_of(second),
                residence=shape.residence,
                tile1=shape.block1,
                warp1=shape.warp1,
                epilogue0=steps_of(first),
            )
        except ValueError:  # too many sums, too much shared memory, another epilogue
            continue
        if refusal(kernel, operator) is None:
            yield kernel
