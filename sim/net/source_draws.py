"""What open-loop sources draw: gaps, sizes, and on and off periods. Both engines use these.

A source has three streams of `sim.net.luck`: `gaps`, `sizes` and `periods`. Exactly:

- `constant`: the first packet is sent at the start; after a packet of b bits comes a gap of
  `spacing(b, rate)` = floor(b * 1e9 / rate + 0.5) ns, at least 1.
- `poisson`: gaps are `whole_ns(exponential(u, mean))`, one draw of `gaps` each, with mean =
  mean packet bits * 1e9 / rate ns; the first packet is sent one gap after the start.
- `onoff`: at the start begins an on period of `whole_ns(exponential(u, on_ns))`, drawn from
  `periods`, and the first packet is sent. Packets are spaced as in `constant`. One whose time is
  at the end of the on period or later is put off: the off period is drawn, then the on period
  that follows it, and the packet is sent at the beginning of that on period.
- Sizes cost one draw of `sizes` per packet, or none where they are fixed, see `packet_bytes`. The
  size of a packet is drawn at its sending, before the gap that follows it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.net.scenario import Sizes

MAX_BYTES = 65_600
SIZE_KINDS = ("fixed", "uniform", "exponential", "listed")
FIXED, UNIFORM, EXPONENTIAL, LISTED = range(len(SIZE_KINDS))


@njit(cache=True)
def exponential(u: float, mean: float) -> float:
    """Return the exponential variate of mean `mean` that belongs to u in [0, 1)."""
    return -mean * math.log(1.0 - u)


@njit(cache=True)
def whole_ns(time_ns: float) -> int:
    """Return the nearest whole number of ns (halves go up), at least 1."""
    return max(1, math.floor(time_ns + 0.5))


@njit(cache=True)
def spacing(bits: int, rate_bps: float) -> int:
    """Return the gap after a packet at a constant rate, ns, at least 1."""
    return max(1, math.floor(bits * 1e9 / rate_bps + 0.5))


@njit(cache=True)
def packet_bytes(kind: int, u: float, mean: float, low: int, high: int, values: Any, shares: Any):
    """Return the size of a packet in bytes, 1 to 65,600.

    Args:
        kind: index in `SIZE_KINDS`. `fixed`: floor(mean + 0.5); `uniform`: low + floor(u (high -
            low + 1)); `exponential`: ceil(-mean log(1 - u)), brought into range; `listed`: the
            first value whose cumulative share exceeds u.
        u: uniform in [0, 1); not used by `fixed`.
        mean: of `fixed` and `exponential`, bytes.
        low: of `uniform`, bytes.
        high: of `uniform`, bytes.
        values: of `listed`, int64[n], from `listed_shares`.
        shares: cumulative, float64[n], from `listed_shares`.
    """
    if kind == FIXED:
        return math.floor(mean + 0.5)
    if kind == UNIFORM:
        return low + math.floor(u * (high - low + 1))
    if kind == EXPONENTIAL:
        return min(MAX_BYTES, max(1, math.ceil(exponential(u, mean))))
    for i in range(len(values)):
        if u < shares[i]:
            return values[i]
    return values[len(values) - 1]


def listed_shares(sizes: Sizes) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the values of `listed` and their cumulative shares; of other kinds one unused pair."""
    if sizes.kind != "listed":
        return np.zeros(1, np.int64), np.ones(1)
    summed = np.cumsum(np.array(sizes.weights, np.float64))
    return np.array(sizes.values, np.int64), summed / summed[-1]


def mean_gap_ns(sizes: Sizes, rate_bps: float) -> float:
    """Return the mean gap of a Poisson source, ns: mean packet bits * 1e9 / rate."""
    return mean_bytes(sizes) * 8.0 * 1e9 / rate_bps


def mean_bytes(sizes: Sizes) -> float:
    """Return the mean packet size, bytes; of `exponential` the mean before rounding up."""
    if sizes.kind == "fixed":
        return math.floor(sizes.mean + 0.5)
    if sizes.kind == "uniform":
        return (sizes.low + sizes.high) / 2.0
    if sizes.kind == "exponential":
        return sizes.mean
    weighted = sum(v * w for v, w in zip(sizes.values, sizes.weights, strict=True))
    return weighted / sum(sizes.weights)
