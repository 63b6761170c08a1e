"""How far a sequence of leaves is from falling densities."""

from __future__ import annotations

import numba
import numpy as np

SAME = 1e-9  # densities this near to each other, relatively, count as equal


@numba.njit(cache=True)
def misplaced_s(compute_s: np.ndarray, memory_s: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return how many seconds of compute each place has too much, and whether densities fall.

    The reference is the best non-increasing fit to the densities, weighted by memory time (pool
    adjacent violators, O(n)): a place whose density is the fit's has nothing too much.

    Args:
        compute_s: float64[n], > 0, by place.
        memory_s: float64[n], >= 0, by place.

    Returns:
        float64[n], compute_s less the fitted density times memory_s; True if no leaf is denser
        than one before it.
    """
    n = compute_s.size
    compute, memory, end = np.empty(n), np.empty(n), np.empty(n, np.int64)
    top = 0
    for i in range(n):
        compute[top], memory[top], end[top] = compute_s[i], memory_s[i], i + 1
        top += 1
        while top > 1 and _denser(compute, memory, top - 1, top - 2):
            compute[top - 2] += compute[top - 1]
            memory[top - 2] += memory[top - 1]
            end[top - 2] = end[top - 1]
            top -= 1
    excess, start = np.zeros(n), 0
    for group in range(top):
        if end[group] - start > 1 and memory[group] > 0:
            for i in range(start, end[group]):
                excess[i] = compute_s[i] - memory_s[i] * (compute[group] / memory[group])
        start = end[group]
    return excess, top == n


@numba.njit(cache=True)
def _denser(compute: np.ndarray, memory: np.ndarray, i: int, j: int) -> bool:
    """Say whether i is denser than j, beyond rounding; products, for memory may be 0."""
    return compute[i] * memory[j] * (1.0 - SAME) > compute[j] * memory[i]
