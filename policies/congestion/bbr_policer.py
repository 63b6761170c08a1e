"""BBRv1's guess that a token bucket polices the path: two lossy intervals at one rate.

Linux net/ipv4/tcp_bbr.c, bbr_lt_bw_sampling and what it calls. While the guess holds, the average
rate of the two intervals replaces the maximum as the bandwidth estimate.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from policies.congestion.bbr_state import (
    DELIVERED_STAMP,
    LT_BW,
    LT_DELIVERED,
    LT_LOST,
    LT_ROUNDS,
    LT_SAMPLING,
    LT_STAMP,
    LT_USE_BW,
    MODE,
    PACING_GAIN,
    PACING_MARGIN,
    PACKET_BITS,
    PROBE_BW,
    ROUND_START,
    SAMPLE_LIMITED,
    start_cycle,
)
from policies.congestion.hooks import draw

LEAST_ROUNDS = 4.0
MOST_ROUNDS = 16.0
LOSSY = 50.0 / 256.0
SAME_RATIO = 1.0 / 8.0
SAME_BPS = 4000.0
HOLD_ROUNDS = 48.0


@njit(cache=True)
def sample_policer(state: Any, delivered: float, lost_total: float, losses: float) -> None:
    """Follow the sampling intervals; `losses` were declared by this very event."""
    if state[LT_USE_BW] > 0.0:
        _hold(state, delivered, lost_total)
        return
    if state[LT_SAMPLING] == 0.0:
        if losses == 0.0:  # the bucket still has tokens
            return
        _begin(state, delivered, lost_total)
        state[LT_SAMPLING] = 1.0
    if state[SAMPLE_LIMITED] > 0.0:
        _forget(state, delivered, lost_total)
        return
    if state[ROUND_START] > 0.0:
        state[LT_ROUNDS] += 1.0
    if state[LT_ROUNDS] < LEAST_ROUNDS:
        return
    if state[LT_ROUNDS] > MOST_ROUNDS:
        _forget(state, delivered, lost_total)
        return
    if losses > 0.0:  # an interval ends at a loss, when tokens are out again
        _end(state, delivered, lost_total)


@njit(cache=True)
def _hold(state: Any, delivered: float, lost_total: float) -> None:
    if state[MODE] != PROBE_BW or state[ROUND_START] == 0.0:
        return
    state[LT_ROUNDS] += 1.0
    if state[LT_ROUNDS] >= HOLD_ROUNDS:
        _forget(state, delivered, lost_total)
        start_cycle(state, state[DELIVERED_STAMP], draw(state))


@njit(cache=True)
def _begin(state: Any, delivered: float, lost_total: float) -> None:
    state[LT_STAMP] = state[DELIVERED_STAMP]
    state[LT_DELIVERED] = delivered
    state[LT_LOST] = lost_total
    state[LT_ROUNDS] = 0.0


@njit(cache=True)
def _forget(state: Any, delivered: float, lost_total: float) -> None:
    state[LT_BW] = 0.0
    state[LT_USE_BW] = 0.0
    state[LT_SAMPLING] = 0.0
    _begin(state, delivered, lost_total)


@njit(cache=True)
def _end(state: Any, delivered: float, lost_total: float) -> None:
    """Close the interval if it was lossy; believe in a policer if it had the rate of the last."""
    acked = delivered - state[LT_DELIVERED]
    if acked <= 0.0 or lost_total - state[LT_LOST] < LOSSY * acked:
        return
    span = state[DELIVERED_STAMP] - state[LT_STAMP]
    if span < 1e6:
        return
    bps = acked * state[PACKET_BITS] * 1e9 / span
    before = state[LT_BW]
    change = abs(bps - before)
    if before > 0.0 and (change <= SAME_RATIO * before or change * PACING_MARGIN <= SAME_BPS):
        state[LT_BW] = 0.5 * (bps + before)
        state[LT_USE_BW] = 1.0
        state[PACING_GAIN] = 1.0
        state[LT_ROUNDS] = 0.0
        return
    state[LT_BW] = bps
    _begin(state, delivered, lost_total)
