"""The values that the templates' parameters may take, and the problem as a GEMM."""

from __future__ import annotations

from collections.abc import Mapping

from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.space import Value

Tile = tuple[int, int]
"""Rows and vectors of a register tile."""
Blocks = tuple[int, int, int]
"""Rows, columns and depth of a cache block."""

TILES: dict[str, tuple[Tile, ...]] = {
    "avx512": ((6, 4), (14, 2), (8, 3), (12, 2), (28, 1), (8, 2), (4, 4), (6, 2), (4, 2), (14, 1)),
    "avx2": ((6, 2), (4, 3), (5, 2), (4, 2), (2, 4), (8, 1), (4, 1)),
    "generic": ((6, 2), (4, 3), (4, 2), (4, 1)),
}
"""Per instruction set, the largest first; accumulators, a row of B and a value of A fit the
register file."""

_SWITCHES = ("aligned", "stream")

UNROLLS: tuple[int, ...] = (1, 3, 4, 8)
GATHERS: tuple[str, ...] = ("direct", "rows", "strips", "padded")
"""`padded` is for convolutions: see `source/block.hpp`."""
BLOCK_ROWS: tuple[int, ...] = (24, 48, 96, 192, 384)
BLOCK_COLUMNS: tuple[int, ...] = (64, 256, 1024)
WHOLE = 1 << 30
"""A block's extent that no problem reaches: no blocking."""
BLOCK_DEPTHS: tuple[int, ...] = (256, 512, WHOLE)
LARGEST: dict[str, int] = {
    **dict.fromkeys(("block_rows", "block_columns", "block_depth"), WHOLE),
    "threads": 4096,
}
"""Parameters that are arguments of a kernel, and their largest values; the least is 1."""


def ceil_div(a: int, b: int) -> int:
    """Return a / b, rounded up."""
    return -(-a // b)


def fault(params: Mapping[str, Value]) -> str | None:
    """Return why these are no parameters of the templates, or None if they are.

    Parameters may come from a file that anybody wrote, and become text that is compiled and run:
    each must be of its own type (`True` is no 1 here) and among the values there are.
    """
    named = {"isa", "tile_rows", "tile_vectors", "unroll", "gather", "aligned", *LARGEST}
    if strange := sorted(named ^ (set(params) - {"stream"})):
        return f"parameter {strange[0][:40]!r} is missing or unknown"
    for name, value in params.items():
        wanted = str if name in ("isa", "gather") else bool if name in _SWITCHES else int
        if type(value) is not wanted:
            return f"{name} is {str(value)[:40]!r}, which is no {wanted.__name__}"
    if params["isa"] not in TILES:
        return f"isa {str(params['isa'])[:40]!r} is none of {', '.join(TILES)}"
    tile = (int(params["tile_rows"]), int(params["tile_vectors"]))
    if tile not in TILES[str(params["isa"])]:
        return f"register tile {tile[0]}x{tile[1]} is none that {params['isa']} has registers for"
    if params["unroll"] not in UNROLLS:
        return f"unroll {params['unroll']} is none of {', '.join(map(str, UNROLLS))}"
    if params["gather"] not in GATHERS:
        return f"gather {str(params['gather'])[:40]!r} is none of {', '.join(GATHERS)}"
    for name, largest in LARGEST.items():
        if not 1 <= int(params[name]) <= largest:
            return f"{name} is {params[name]}, below 1 or above {largest}"
    return None


def template_of(operator: Operator) -> str:
    """Return the name of the template that computes `operator`."""
    return {Gemm: "gemm", Conv2d: "conv2d", Pair: "pair"}[type(operator)]


def halves(operator: Operator) -> tuple[Gemm | Conv2d, ...]:
    """Return both products of a pair, or the one there is.

    Raises:
        TypeError: it is no operator that has a template.
    """
    if isinstance(operator, Pair):
        return operator.first, operator.second
    if isinstance(operator, Gemm | Conv2d):
        return (operator,)
    raise TypeError(f"no template for {type(operator).__name__}")


def implicit_gemm(operator: Operator) -> tuple[int, int, int]:
    """Return rows, columns and depth of an operator's (first) product; of one of a batch."""
    first = halves(operator)[0]
    if isinstance(first, Conv2d):
        return first.as_gemm
    rows = first.batch * first.m if first.constant_b else first.m
    return rows, first.n, first.k


def run_length(product: Gemm | Conv2d, gather: str) -> int:
    """Return how many values of a row of A lie side by side, as tiles meet them."""
    if isinstance(product, Gemm):
        return product.k
    if gather in ("rows", "strips"):
        return product.as_gemm[2]
    merges = product.dilation[1] == 1 and (gather == "padded" or product.padding[1] == 0)
    return product.in_channels * (product.kernel[1] if merges else 1)
