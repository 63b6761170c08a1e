"""Dealing compute-heavy and memory-heavy items so that every stretch has the pool's density.

An item's excess is Comp - rho Mem, rho the density of all items together; the excesses of all add
up to 0. Items are dealt from two piles, the memory-heavy one (excess below 0) with its lowest
density on top, the compute-heavy one with its highest: while the excess dealt so far is 0 or
more, the next item is a memory-heavy one, else a compute-heavy one. The sum of what is dealt then
never exceeds the largest single excess, on either side; so every stretch of the sequence has the
pool's density up to two items' worth of excess. It is the error-diffusion form of a
low-discrepancy merge, in O(n log n).
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from serving.density import ratio


def excess_s(comp_s: NDArray[np.float64], mem_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64[n], Comp - rho Mem in seconds; Comp itself where nothing reads memory."""
    memory = float(mem_s.sum())
    return comp_s - (float(comp_s.sum()) / memory * mem_s if memory > 0 else 0.0)


def dealt(comp_s: NDArray[np.float64], mem_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return int64[n], the items in the order in which they are dealt; ties as they come."""
    excess, density = excess_s(comp_s, mem_s), ratio(comp_s, mem_s)
    by_density = np.argsort(density, kind="stable")
    light = by_density[excess[by_density] < 0]
    falling = np.argsort(-density, kind="stable")
    heavy = falling[excess[falling] >= 0]
    return _merge(excess, heavy, light)


@numba.njit(cache=True)
def _merge(excess: np.ndarray, heavy: np.ndarray, light: np.ndarray) -> np.ndarray:
    order = np.empty(excess.size, np.int64)
    sum_dealt, i, j = 0.0, 0, 0
    for place in range(excess.size):
        if j < light.size and (sum_dealt >= 0.0 or i == heavy.size):
            order[place] = light[j]
            j += 1
        else:
            order[place] = heavy[i]
            i += 1
        sum_dealt += excess[order[place]]
    return order
