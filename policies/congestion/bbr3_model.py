"""BBRv3's model of the path: rounds, bandwidth, aggregation, plateaus, and recent losses.

draft-ietf-ccwg-bbr-05, "Updating Network Path Model Parameters"; names of its functions in
brackets.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from policies.congestion.base import (
    A_ACKED,
    A_DELIVERED,
    A_NOW_NS,
    A_PRIOR_DELIVERED,
    A_PRIOR_INFLIGHT,
    CWND,
)
from policies.congestion.bbr3_state import (
    BETA,
    BW,
    BW_LATEST,
    BW_SHORTTERM,
    CWND_LIMITED_ROUND,
    EXTRA_ACKED,
    EXTRA_DELIVERED,
    EXTRA_START,
    FULL_BW,
    FULL_BW_COUNT,
    FULL_BW_NOW,
    FULL_BW_REACHED,
    INFLIGHT_LATEST,
    INFLIGHT_SHORTTERM,
    LIMITED,
    LOSS_IN_ROUND,
    LOSS_RANGES,
    LOSS_ROUND_DELIVERED,
    LOSS_ROUND_START,
    MAX_BW_CURRENT,
    MAX_BW_PREVIOUS,
    MODE,
    NEXT_ROUND_DELIVERED,
    PACKET_BITS,
    REFILL,
    ROUND_COUNT,
    ROUND_START,
    ROUNDS_SINCE_BW_PROBE,
    SAMPLE_BPS,
    SAMPLE_LIMITED,
    STARTUP,
    UP,
    max_bw,
    reset_full_bw,
)
from policies.congestion.bbr_sample import delivery_rate, is_limited
from policies.congestion.filters import running_max

FULL_BW_GROWTH = 1.25
FULL_BW_ROUNDS = 3.0
EXTRA_ACKED_ROUNDS = 10.0


@njit(cache=True)
def take_sample(state: Any, ack: Any) -> None:
    """Note the rate sample, and whether the window was the limit ("Delivery Rate Samples")."""
    state[SAMPLE_BPS] = max(delivery_rate(ack, state[PACKET_BITS]), 0.0)
    state[SAMPLE_LIMITED] = 1.0 if is_limited(state, LIMITED, ack) else 0.0
    if ack[A_PRIOR_INFLIGHT] + 1.0 > state[CWND]:
        state[CWND_LIMITED_ROUND] = state[ROUND_COUNT]


@njit(cache=True)
def update_latest(state: Any, ack: Any) -> None:
    """Keep the largest rate and volume of the loss round (BBRUpdateLatestDeliverySignals)."""
    state[LOSS_ROUND_START] = 0.0
    state[BW_LATEST] = max(state[BW_LATEST], state[SAMPLE_BPS])
    volume = ack[A_DELIVERED] - ack[A_PRIOR_DELIVERED]
    state[INFLIGHT_LATEST] = max(state[INFLIGHT_LATEST], volume)
    if ack[A_PRIOR_DELIVERED] >= state[LOSS_ROUND_DELIVERED]:
        state[LOSS_ROUND_DELIVERED] = ack[A_DELIVERED]
        state[LOSS_ROUND_START] = 1.0


@njit(cache=True)
def advance_latest(state: Any, ack: Any) -> None:
    """Begin the next loss round, and bound the bandwidth by recent losses.

    BBRAdvanceLatestDeliverySignals, BBRBoundBWForModel; what the round lost is forgotten here, not
    in BBRUpdateCongestionSignals, as the end of Startup is decided in between.
    """
    if state[LOSS_ROUND_START] > 0.0:
        state[BW_LATEST] = state[SAMPLE_BPS]
        state[INFLIGHT_LATEST] = ack[A_DELIVERED] - ack[A_PRIOR_DELIVERED]
        state[LOSS_IN_ROUND] = 0.0
        state[LOSS_RANGES] = 0.0
    state[BW] = min(max_bw(state), state[BW_SHORTTERM])


@njit(cache=True)
def reset_congestion_signals(state: Any) -> None:
    """Forget what this loss round saw (BBRResetCongestionSignals)."""
    state[LOSS_IN_ROUND] = 0.0
    state[BW_LATEST] = 0.0
    state[INFLIGHT_LATEST] = 0.0


@njit(cache=True)
def start_round(state: Any, delivered: float) -> None:
    """Let a round begin with the next packet sent (BBRStartRound)."""
    state[NEXT_ROUND_DELIVERED] = delivered


@njit(cache=True)
def update_congestion(state: Any, ack: Any) -> None:
    """Count rounds, take in the bandwidth, adapt to losses (BBRUpdateCongestionSignals)."""
    _update_max_bw(state, ack)
    probing = state[MODE] == STARTUP or state[MODE] == REFILL or state[MODE] == UP
    if state[LOSS_ROUND_START] > 0.0 and state[LOSS_IN_ROUND] > 0.0 and not probing:
        _lower_bounds(state)


@njit(cache=True)
def _update_max_bw(state: Any, ack: Any) -> None:
    """Take in the sample where it counts (BBRUpdateRound, BBRUpdateMaxBw)."""
    state[ROUND_START] = 0.0
    if ack[A_PRIOR_DELIVERED] >= state[NEXT_ROUND_DELIVERED]:
        start_round(state, ack[A_DELIVERED])
        state[ROUND_COUNT] += 1.0
        state[ROUNDS_SINCE_BW_PROBE] += 1.0
        state[ROUND_START] = 1.0
    bps = state[SAMPLE_BPS]
    if bps > 0.0 and (bps >= max_bw(state) or state[SAMPLE_LIMITED] == 0.0):
        state[MAX_BW_CURRENT] = max(state[MAX_BW_CURRENT], bps)


@njit(cache=True)
def advance_max_bw(state: Any) -> None:
    """Let the bandwidth filter enter a new ProbeBW cycle (BBRAdvanceMaxBwFilter).

    A cycle without a sample is none: the one before it stays, as in Linux's version 3.
    """
    if state[MAX_BW_CURRENT] > 0.0:
        state[MAX_BW_PREVIOUS] = state[MAX_BW_CURRENT]
        state[MAX_BW_CURRENT] = 0.0


@njit(cache=True)
def _lower_bounds(state: Any) -> None:
    """Bound rate and volume by what got through (BBRInitLowerBounds, BBRLossLowerBounds)."""
    if state[BW_SHORTTERM] == float("inf"):
        state[BW_SHORTTERM] = max_bw(state)
    if state[INFLIGHT_SHORTTERM] == float("inf"):
        state[INFLIGHT_SHORTTERM] = state[CWND]
    state[BW_SHORTTERM] = max(state[BW_LATEST], BETA * state[BW_SHORTTERM])
    state[INFLIGHT_SHORTTERM] = max(state[INFLIGHT_LATEST], BETA * state[INFLIGHT_SHORTTERM])


@njit(cache=True)
def update_aggregation(state: Any, ack: Any) -> None:
    """Track how far ACKs run ahead of the bandwidth (BBRUpdateACKAggregation)."""
    expected = state[BW] * (ack[A_NOW_NS] - state[EXTRA_START]) / 1e9 / state[PACKET_BITS]
    if state[EXTRA_DELIVERED] <= expected:
        state[EXTRA_DELIVERED] = 0.0
        state[EXTRA_START] = ack[A_NOW_NS]
        expected = 0.0
    state[EXTRA_DELIVERED] += ack[A_ACKED]
    extra = min(state[EXTRA_DELIVERED] - expected, state[CWND])
    window = EXTRA_ACKED_ROUNDS if state[FULL_BW_REACHED] > 0.0 else 1.0
    running_max(state, EXTRA_ACKED, window, state[ROUND_COUNT], extra)


@njit(cache=True)
def check_full_bw(state: Any) -> None:
    """Find a plateau: three rounds without 25 % growth (BBRCheckFullBWReached)."""
    if state[FULL_BW_NOW] > 0.0 or state[ROUND_START] == 0.0 or state[SAMPLE_LIMITED] > 0.0:
        return
    if state[SAMPLE_BPS] <= 0.0:
        return
    if state[SAMPLE_BPS] >= FULL_BW_GROWTH * state[FULL_BW]:
        reset_full_bw(state, state[SAMPLE_BPS])
        return
    state[FULL_BW_COUNT] += 1.0
    if state[FULL_BW_COUNT] >= FULL_BW_ROUNDS:
        state[FULL_BW_NOW] = 1.0
        state[FULL_BW_REACHED] = 1.0
