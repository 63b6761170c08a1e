"""Seconds of one call by arithmetic: a pruner, not a predictor.

A block's time is the largest of three: its multiply-adds, the loads that feed them, and the bytes
that the caches below must bring; then come epilogue, gathering and threads. Constants are round
numbers of current cores, not fitted to measurements; the model is to tell candidates apart, and
its absolute values may be wrong by tens of per cent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tuning.operators import Conv2d, Gemm, Operator
from tuning.operators.base import moved_bytes
from tuning.space import Candidate, Device
from tuning.templates.cpu.native import row_bytes
from tuning.templates.cpu.params import ceil_div, halves

_LATENCY = 4.0
"""Cycles until an accumulator may be added to again, at one multiply-add a cycle."""
_LOADS = 2.0
"""Loads a cycle."""
_L2_BYTES, _L3_BYTES, _COPY_BYTES = 32.0, 10.0, 8.0
"""Bytes a cycle and core from the second-level cache, from the third, and copied."""
_RUN_CYCLES = 6.0
"""Cycles that a run's end costs a tile: the loop leaves and begins, pointers are loaded."""
_TILE_CYCLES = 12.0
_STEP_CYCLES = {"bias": 0.5, "residual": 1.5, "relu": 0.5, "hardswish": 2.0}
_CURVED_CYCLES = 20.0
"""Per vector of output: the steps in the table, and GELU, Softplus or SiLU."""
_FORK_S = 4e-6
"""Seconds to start and join a team of threads."""


@dataclass(frozen=True)
class _Product:
    """One half as blocks meet it: extents, and runs of A's rows."""

    half: Gemm | Conv2d
    rows: int
    columns: int
    depth: int
    runs: int
    repeats: int


def estimate_s(operator: Operator, candidate: Candidate, device: Device) -> float:
    """Return the modelled seconds of one call of `candidate`."""
    params = candidate.params
    threads = int(params["threads"])
    hertz = device.flops / (2 * device.vector_floats)
    cycles = sum(_product_cycles(p, candidate, device) for p in _products(operator, params))
    seconds = cycles / hertz
    moved = moved_bytes(operator)
    if not params.get("stream", False):  # a line that is written is read before
        moved += operator.operands()[-1].nbytes
    if isinstance(operator, Gemm) and not operator.constant_b:
        seconds += 4 * operator.batch * operator.k * operator.n / _COPY_BYTES / hertz / threads
    if moved > device.l3_bytes:
        seconds = max(seconds, moved / device.bandwidth_bytes_s)
    return seconds + (_FORK_S if threads > 1 else 0.0)


def _products(operator: Operator, params: dict[str, int | str | bool]) -> Iterator[_Product]:
    for half in halves(operator):
        if isinstance(half, Conv2d):
            rows, columns, depth = half.as_gemm
            copied = params["gather"] in ("rows", "strips")
            merged = params["gather"] == "padded" or half.padding[1] == 0
            runs = 1 if copied else half.kernel[0] * (1 if merged else half.kernel[1])
            yield _Product(half, rows, columns, depth, runs, 1)
        elif half.constant_b:
            yield _Product(half, half.batch * half.m, half.n, half.k, 1, 1)
        else:
            yield _Product(half, half.m, half.n, half.k, 1, half.batch)


def _product_cycles(p: _Product, candidate: Candidate, device: Device) -> float:
    """Return the cycles of the thread that has most to do."""
    params = candidate.params
    tall, wide = int(params["tile_rows"]), int(params["tile_vectors"])
    threads = int(params["threads"])
    width = wide * device.vector_floats
    block_columns = ceil_div(min(int(params["block_columns"]), p.columns), width) * width
    across = ceil_div(p.columns, block_columns)
    down = ceil_div(p.rows, min(int(params["block_rows"]), p.rows))
    if across % threads:
        down = ceil_div(down, threads) * threads
    block_rows = min(p.rows, ceil_div(ceil_div(p.rows, down), tall) * tall)
    tasks = ceil_div(p.rows, block_rows) * across
    if p.repeats >= threads:
        busiest = ceil_div(p.repeats, threads) * tasks
    else:
        busiest = ceil_div(tasks, threads) * p.repeats
    busiest = min(busiest, tasks * p.repeats)
    columns = min(block_columns, p.columns)
    each = _block_cycles(p, candidate, device, block_rows, columns)
    return each * busiest


def _block_cycles(
    p: _Product, candidate: Candidate, device: Device, rows: int, columns: int
) -> float:
    params = candidate.params
    tall, wide = int(params["tile_rows"]), int(params["tile_vectors"])
    vectors = ceil_div(columns, device.vector_floats)
    depth = min(int(params["block_depth"]), p.depth)
    rounds = ceil_div(p.depth, depth)
    cycles = 0.0
    for height, times in _heights(rows, tall):
        for v, panels in ((wide, vectors // wide), (vectors % wide, 1)):
            if v == 0 or panels == 0:
                continue
            step = max(height * v, (height + v) / _LOADS, _LATENCY)
            fed = 4 * v * device.vector_floats / _feed(depth, wide, device)
            ends = _TILE_CYCLES * rounds + _RUN_CYCLES * p.runs
            finish = height * v * (_finish_cycles(p.half) + 3.0 * (rounds - 1))
            cycles += times * panels * (p.depth * max(step, fed) + ends + finish)
    cycles += 4 * rows * p.depth / _COPY_BYTES if params["gather"] in ("rows", "strips") else 0
    streamed = rows * row_bytes(p.half)
    streamed += 4 * rows * columns * (1 if params.get("stream", False) else 2)
    if 4 * p.depth * columns > device.l2_bytes:
        streamed += 4 * p.depth * columns
    return cycles + 0.25 * streamed / _L3_BYTES


def _heights(rows: int, tall: int) -> Iterator[tuple[int, int]]:
    """Yield (height, how many) of the tiles that cover `rows`, as the kernel cuts them."""
    height = tall
    while rows:
        if rows >= height:
            yield height, rows // height
            rows %= height
        height = next(h for h in (8, 4, 2, 1, 0) if h < height)


def _feed(depth: int, wide: int, device: Device) -> float:
    """Return bytes a cycle at which a panel of B arrives."""
    panel = 4 * depth * wide * device.vector_floats
    if panel <= device.l1_bytes // 2:
        return 2 * _L2_BYTES
    return _L2_BYTES if panel <= device.l2_bytes // 2 else _L3_BYTES


def _finish_cycles(half: Gemm | Conv2d) -> float:
    return 1.0 + sum(_STEP_CYCLES.get(step, _CURVED_CYCLES) for step in half.epilogue.steps)
