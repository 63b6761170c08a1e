"""The vendor's guidelines: which tens of candidates an operator deserves (Bolt section 3.2.2).

The paper's three, restated for a CPU:

1. Within the register file prefer large tiles: more products per load. A tile counts with the
   rows and vectors that it fills, so narrow outputs get tall tiles.
2. As many blocks as threads can share evenly, each as large as half of the second-level cache, or
   as the third level feeds where rows of A are so long that few of them fit.
3. Small problems get small blocks and few threads: columns are shared where rows are few, and one
   thread is tried where starting others costs as much as the work.

A fourth is the device's own: outputs that outgrow the caches are also tried with stores that pass
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tuning.operators import Conv2d, Gemm, Operator, Pair
from tuning.space import Device
from tuning.templates.cpu.params import (
    TILES,
    WHOLE,
    Blocks,
    Tile,
    ceil_div,
    halves,
    implicit_gemm,
    run_length,
)

MOST = 40
"""Native candidates of an operator at most."""
_TILES = 3
_DEEP = 1024
"""Rows of A longer than this are also tried in blocks of half of it."""
_HIGHEST = 480
"""Rows of a block at most."""
_FEW_CHANNELS = 16
_FEW_ROWS = 256
"""Per thread: with more of them, sharing rows leaves nobody without work."""
_SMALL_FLOPS = 4_000_000
"""Below it one thread is tried too: about 20 microseconds of work."""
_TINY_FLOPS = 200_000
"""Below it only one thread is tried: about the time to start another."""

Choice = tuple[Tile, int, str, Blocks, int, bool]
"""Register tile, unrolling, way of reaching A, blocks, threads, whether to stream."""


def choices(operator: Operator, isa: str, device: Device) -> Iterator[Choice]:
    """Yield the parameters of each native candidate, best guess first."""
    rows, columns, depth = implicit_gemm(operator)
    widest = max(half_columns(half) for half in halves(operator))
    depths = (WHOLE, _DEEP // 2) if depth >= _DEEP else (WHOLE,)
    for number, shared, deep in product(range(2), range(2), depths):
        for tile, gather in product(tiles(isa, device, rows, widest), gathers(operator)):
            for threads, stream in product(
                thread_counts(operator, device.cores), streaming(operator, device)
            ):
                found = _blocks(operator, device, tile, threads, columns, number, shared, deep)
                if found is not None:
                    yield tile, unroll(operator, gather), gather, found, threads, stream


def half_columns(half: Gemm | Conv2d) -> int:
    """Return the columns of one product."""
    return half.out_channels if isinstance(half, Conv2d) else half.n


def tiles(isa: str, device: Device, rows: int, columns: int) -> list[Tile]:
    """Return the three tiles that suit an output of `rows` by `columns` best.

    First come those that keep three quarters of the register file at work, then those with most
    products per load.
    """
    vectors = ceil_div(columns, device.vector_floats)

    def suits(tile: Tile) -> tuple[float, float]:
        tall, wide = min(tile[0], rows), vectors / ceil_div(vectors, tile[1])
        enough = 0.75 * device.vector_registers
        return min(tall * wide, enough), tall * wide / (tall + wide)

    return sorted(TILES[isa], key=suits, reverse=True)[:_TILES]


def gathers(operator: Operator) -> tuple[str, str]:
    """Return two ways of reaching A.

    Pixels of few channels are short runs: better where a kernel's columns lie side by side.
    Otherwise what is read in place is compared with a copy whose rows spread over cache sets.
    """
    first = halves(operator)[0]
    if isinstance(first, Conv2d) and first.kernel != (1, 1):
        if first.in_channels < _FEW_CHANNELS:
            return "padded", "rows"
        return ("direct", "padded") if first.width > 14 else ("direct", "rows")
    return "direct", "rows"


def unroll(operator: Operator, gather: str) -> int:
    """Return 4, or 3 where only that divides the runs."""
    lengths = [run_length(half, gather) for half in halves(operator)]
    divides = next((u for u in (4, 3) if not any(n % u for n in lengths)), 4)
    return divides


def thread_counts(operator: Operator, cores: int) -> tuple[int, ...]:
    """Return the numbers of threads to try."""
    if cores == 1 or operator.flops < _TINY_FLOPS:
        return (1,)
    return (cores, 1) if operator.flops < _SMALL_FLOPS else (cores,)


def streaming(operator: Operator, device: Device) -> tuple[bool, ...]:
    """Return whether to try stores past the caches, and stores into them."""
    output = operator.operands()[-1]
    large = output.dtype == "float32" and output.nbytes > 2 * device.l2_bytes
    return (True, False) if large else (False,)


def row_bytes(half: Gemm | Conv2d) -> int:
    """Return the bytes of A that one more row of a block brings into the cache."""
    if isinstance(half, Conv2d):
        return 4 * half.in_channels * half.stride[0] * half.stride[1]
    return 4 * half.k


def _blocks(
    operator: Operator,
    device: Device,
    tile: Tile,
    threads: int,
    columns: int,
    number: int,
    shared: int,
    depth: int,
) -> Blocks | None:
    """Return blocks as high as suits the second level (`number` 0), or of another height (1).

    None if they are not worth trying. With `shared` 1, threads share columns instead of rows.
    """
    rows, _, _ = implicit_gemm(operator)
    wide = tile[1] * device.vector_floats
    few = threads > 1 and rows <= _FEW_ROWS * threads
    if shared and (not few or columns < 2 * wide or isinstance(operator, Pair)):
        return None
    across = ceil_div(columns, threads * wide) * wide if shared else columns
    each = row_bytes(halves(operator)[0])
    if isinstance(operator, Pair):
        each += 4 * columns
    share = rows if shared else ceil_div(rows, threads)
    height = max(tile[0], min(share, device.l2_bytes // 2 // each, _HIGHEST))
    if number and height < min(share, _HIGHEST) // 4:
        height = min(share, _HIGHEST)
    elif number:
        if height < 6 * tile[0]:
            return None
        height //= 3
    return ceil_div(height, tile[0]) * tile[0], across, depth
