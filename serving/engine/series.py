"""Use over time in bounded memory: buckets of steps whose width doubles when they run out."""

from __future__ import annotations

import numba
import numpy as np

BUCKETS = 256
STEPS, STEP_NS, COMPUTE_NS, MEMORY_NS, RUNNING, USED_BLOCKS = range(6)


def new_series() -> np.ndarray:
    """Return int64[BUCKETS + 1, 6]; the extra last row holds (bucket in use, bucket width)."""
    series = np.zeros((BUCKETS + 1, 6), np.int64)
    series[BUCKETS, 1] = 1
    return series


@numba.njit(cache=True)
def add_step(
    series: np.ndarray, step_ns: int, compute_ns: int, memory_ns: int, running: int, used: int
) -> None:
    """Add one step; between 128 and 256 buckets are in use after the first 128 steps."""
    state = series[BUCKETS]
    if series[state[0], STEPS] == state[1]:
        state[0] += 1
        if state[0] == BUCKETS:
            _merge(series)
    row = series[state[0]]
    row[STEPS] += 1
    row[STEP_NS] += step_ns
    row[COMPUTE_NS] += compute_ns
    row[MEMORY_NS] += memory_ns
    row[RUNNING] += running
    row[USED_BLOCKS] += used


@numba.njit(cache=True)
def add_idle(series: np.ndarray, idle_ns: int) -> None:
    """Add time in which nothing runs to the bucket in use."""
    series[series[BUCKETS, 0], STEP_NS] += idle_ns


@numba.njit(cache=True)
def _merge(series: np.ndarray) -> None:
    half = BUCKETS // 2
    for i in range(half):
        series[i] = series[2 * i] + series[2 * i + 1]
    series[half:BUCKETS] = 0
    series[BUCKETS, 0] = half
    series[BUCKETS, 1] *= 2


def finished_series(series: np.ndarray) -> np.ndarray:
    """Return the rows in use, int64[buckets, 6]."""
    return series[:BUCKETS][series[:BUCKETS, STEPS] > 0].copy()
