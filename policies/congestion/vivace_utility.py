"""Utility of PCC Vivace, with the authors' filter of RTT noise.

    x^0.9 - 900 x (dRTT/dt)+ - 11.35 x L

x: rate at which the interval was sent, 1e6 bits/s; dRTT/dt: slope of a least-squares line of RTT
over send time; L: share of lost packets. Dong et al., NSDI 2018, section 4; constants and filter:
PCC-Uspace, `src/pcc/pcc_utility_manager.cpp`.

The slope counts only if it stands out: if the scatter of the interval's RTTs over their mean is
less than the slope, or if the trend of mean RTTs over the last six intervals is positive and more
than two (smoothed, absolute) deviations from its smoothed mean. In the starting phase a growth of
less than 1 ms over the interval does not count.

Deviations:
- The scatter (root mean square about the mean) is taken as (mean - least RTT) / sqrt 3, exact for
  a steady rise and for uniform jitter; the account of an interval has no second moment.
- The slope is over send times; theirs over packet numbers, times the nominal gap.
- All samples count; theirs drop those after pauses 50 times as long as usual between ACKs.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from policies.congestion.base import I_LEAST_RTT_NS, I_MEAN_RTT_NS, I_RTT_SLOPE, I_SENT
from policies.congestion.monitor import loss_share, mbps, send_time_ns

KEPT = 6
TREND = (
    "trend_count",
    "trend_mean",
    "trend_least",
    "trend_deviation",
    "trend_last",
    *(f"mean_rtt_us_{i}" for i in range(KEPT)),
)
COUNT, MEAN, LEAST, DEVIATION, LAST, HISTORY = range(6)  # offsets in the state

RATE_EXPONENT, RTT_COEFFICIENT, LOSS_COEFFICIENT = range(3)
SMOOTHING = 0.1
DEVIATIONS = 2.0
TINY_US = 1e-6
OUT_OF_SCALE = 100.0
STARTING_GROWTH_NS = 1e6


@njit(cache=True)
def trend_slope(state: Any, at: int) -> float:
    """Return the least-squares slope of the kept mean RTTs, us per interval."""
    middle = 0.5 * (KEPT - 1)
    above, below = 0.0, 0.0
    for i in range(KEPT):
        above += (i - middle) * state[at + HISTORY + i]
        below += (i - middle) * (i - middle)
    return above / below


@njit(cache=True)
def trend_stands_out(state: Any, at: int, mean_rtt_us: float) -> bool:
    """Append an interval's mean RTT; return whether RTTs have begun to rise across intervals."""
    for i in range(KEPT - 1):
        state[at + HISTORY + i] = state[at + HISTORY + i + 1]
    state[at + HISTORY + KEPT - 1] = mean_rtt_us
    state[at + COUNT] += 1.0
    if state[at + COUNT] < KEPT:
        return False
    slope = trend_slope(state, at)
    least = state[at + LEAST]
    if least < TINY_US or abs(slope) < least / OUT_OF_SCALE:
        state[at + MEAN] = 0.0
        state[at + LEAST] = abs(slope)
        state[at + DEVIATION] = abs(slope)
        state[at + LAST] = slope
        return False
    state[at + LEAST] = min(least, abs(slope))
    if abs(slope - state[at + MEAN]) > DEVIATIONS * state[at + DEVIATION]:
        return slope > 0.0
    kept = 1.0 - SMOOTHING
    moved = abs(slope - state[at + LAST])
    state[at + DEVIATION] = kept * state[at + DEVIATION] + SMOOTHING * moved
    state[at + MEAN] = kept * state[at + MEAN] + SMOOTHING * slope
    state[at + LAST] = slope
    return False


@njit(cache=True)
def growth(state: Any, at: int, interval: Any, duration_ns: float, starting: bool) -> float:
    """Return the slope of RTT that counts, ns/ns, >= 0."""
    mean = interval[I_MEAN_RTT_NS]
    if not mean > 0.0:
        return 0.0
    slope = interval[I_RTT_SLOPE]
    scatter = (mean - interval[I_LEAST_RTT_NS]) / math.sqrt(3.0) / mean
    rising = trend_stands_out(state, at, mean / 1000.0)
    if not (scatter < abs(slope) or rising):
        return 0.0
    if starting and abs(slope) * duration_ns < STARTING_GROWTH_NS:
        return 0.0
    return max(0.0, slope)


@njit(cache=True)
def utility(
    state: Any, at: int, interval: Any, bits: float, starting: bool, constants: Any
) -> float:
    """Return the utility of an interval; `at`: where the columns `TREND` begin in the state."""
    duration = send_time_ns(interval, bits)
    x = mbps(interval[I_SENT], bits, duration)
    slope = growth(state, at, interval, duration, starting)
    cost = constants[RTT_COEFFICIENT] * slope + constants[LOSS_COEFFICIENT] * loss_share(interval)
    return x ** constants[RATE_EXPONENT] - x * cost
