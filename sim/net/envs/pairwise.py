"""The mean as numpy computes it, inside compiled code: the same rounding, bit for bit."""

from __future__ import annotations

from typing import Any

from numba import njit

BLOCK = 128


@njit(cache=True)
def _block(values: Any, first: int, count: int) -> float:
    if count < 8:
        total = 0.0
        for i in range(first, first + count):
            total += values[i]
        return total
    a, b, c, d = values[first], values[first + 1], values[first + 2], values[first + 3]
    e, f, g, h = values[first + 4], values[first + 5], values[first + 6], values[first + 7]
    whole = count - count % 8
    for i in range(first + 8, first + whole, 8):
        a += values[i]
        b += values[i + 1]
        c += values[i + 2]
        d += values[i + 3]
        e += values[i + 4]
        f += values[i + 5]
        g += values[i + 6]
        h += values[i + 7]
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(first + whole, first + count):
        total += values[i]
    return total


@njit(cache=True)
def pairwise_sum(values: Any, first: int, count: int) -> float:
    """Return the sum of `values[first : first + count]` as `numpy.add.reduce` rounds it.

    numpy halves what is longer than 128 numbers, at a multiple of 8, and adds eight running sums
    within a block (`pairwise_sum` of its `loops_utils.h`; Higham 1993).
    """
    if count <= BLOCK:
        return _block(values, first, count)
    half = count // 2
    half -= half % 8
    return pairwise_sum(values, first, half) + pairwise_sum(values, first + half, count - half)


@njit(cache=True)
def mean(values: Any, first: int, count: int) -> float:
    """Return the mean of `values[first : first + count]`, count >= 1, as `numpy.mean` does."""
    return pairwise_sum(values, first, count) / count
