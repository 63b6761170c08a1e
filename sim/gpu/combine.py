"""The overlap models' arithmetic, compiled; the models themselves are in `sim.gpu.overlap`."""

from __future__ import annotations

import numba
import numpy as np

from sim.gpu.overlap import INTERFERENCE, MAX, PARTIAL, SURFACE


@numba.njit(cache=True)
def combine(kind: int, numbers: np.ndarray, compute: float, memory: float) -> float:
    """Return the time of a step from its two parts, all in the same unit.

    Args:
        kind: SUM, MAX, PARTIAL, INTERFERENCE or SURFACE.
        numbers: float64[...]; PARTIAL reads h in [0, 1], INTERFERENCE pairs R, P, SURFACE the
            coefficients of 1, x, x^2, ...
        compute: time of the compute-bound operators, >= 0.
        memory: time of the memory-bound operators, >= 0.

    Returns:
        A time between the longer part and the sum of both.
    """
    longer, shorter = max(compute, memory), min(compute, memory)
    if kind == MAX:
        return longer
    if kind == PARTIAL:
        return longer + (1.0 - numbers[0]) * shorter
    if kind == INTERFERENCE:
        return _interfering(numbers, compute, memory)
    if kind == SURFACE:
        return _on_surface(numbers, compute, memory)
    return longer + shorter


@numba.njit(cache=True)
def _interfering(points: np.ndarray, compute: float, memory: float) -> float:
    """Return the time at the best point: both at once until one is done, the rest alone."""
    best = compute + memory
    for i in range(0, points.size, 2):
        share, speed = points[i], points[i + 1]
        compute_last = compute + memory * share / speed
        memory_last = memory + compute * (1.0 - speed) / (1.0 - share)
        best = min(best, max(compute_last, memory_last))
    return best


@numba.njit(cache=True)
def _on_surface(coefficients: np.ndarray, compute: float, memory: float) -> float:
    """Return (compute + memory) x polynomial of compute / (compute + memory), within bounds."""
    total = compute + memory
    if total == 0.0:
        return 0.0
    x, value = compute / total, 0.0
    for i in range(coefficients.size - 1, -1, -1):
        value = value * x + coefficients[i]
    return min(total, max(max(compute, memory), total * value))
