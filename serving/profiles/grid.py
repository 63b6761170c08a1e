"""Attention times of LLMServingSim 2.0's profiler: `attention.csv` as an `AttentionGrid`.

Rows `prefill_chunk,kv_prefill,n_decode,kv_decode,time_us` of one layer. The file leaves out what
cannot be or means the same twice: without a chunk there are no tokens before it, without decodes
they have no length, and a chunk leaves a seat less for decodes than the batch has. The first two
are filled with their neighbours, the last by going on in a straight line along the decodes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving.profiles.curves import NS_PER_US, positive
from serving.traces.base import TraceError, count
from serving.traces.columns import read_columns
from sim.gpu.attention_grid import AttentionGrid

AXES = ("prefill_chunk", "kv_prefill", "n_decode", "kv_decode")
MAX_CELLS = 10_000_000


def read_grid(path: Path) -> AttentionGrid:
    """Read the file; times are those of one layer.

    Raises:
        TraceError: the file or a row is malformed, a point is there twice or missing.
    """
    points: dict[tuple[int, ...], float] = {}
    for row, fields in read_columns(path, (*AXES, "time_us")):
        place = tuple(count(path, row, name, fields[name], least=0) for name in AXES)
        if place in points:
            raise TraceError(path, row, None, f"the point {place} is there twice")
        points[place] = positive(path, row, "time_us", fields["time_us"]) * NS_PER_US
    axes = [np.unique([0, *(place[i] for place in points)]) for i in range(len(AXES))]
    shape = tuple(axis.size for axis in axes)
    if min(shape) < 3 or np.prod(shape, dtype=float) > MAX_CELLS:
        message = f"is a grid of {shape}; each axis needs 0 and two more, all {MAX_CELLS} cells"
        raise TraceError(path, None, None, message)
    ns = np.full(shape, np.nan)
    for place, time_ns in points.items():
        ns[tuple(np.searchsorted(axes[i], x) for i, x in enumerate(place))] = time_ns
    _fill(ns, axes[2])
    if np.isnan(ns).any():
        first = np.argwhere(np.isnan(ns))[0]
        at = {name: int(axes[i][first[i]]) for i, name in enumerate(AXES)}
        raise TraceError(path, None, None, f"the point {at} is missing")
    chunk, prefill_kv, decodes, decode_kv = (axis.astype(np.float64) for axis in axes)
    return AttentionGrid(chunk, prefill_kv, decodes, decode_kv, ns)


def _fill(ns: NDArray[np.float64], decodes: NDArray[np.int64]) -> None:
    """Fill in place what the file leaves out."""
    ns[0, :, 0, :] = 0.0  # nothing at all
    ns[1:, :, 0, :] = ns[1:, :, 0, :1]
    ns[0, :, 1:, :] = ns[0, :1, 1:, :]
    _replace(ns[:, :, 1:, 0], ns[:, :, 1:, 1])
    slope = (ns[:, :, -2] - ns[:, :, -3]) / (decodes[-2] - decodes[-3])
    _replace(ns[:, :, -1], ns[:, :, -2] + slope * (decodes[-1] - decodes[-2]))


def _replace(holes: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    holes[:] = np.where(np.isnan(holes), values, holes)
