"""BBRv3's ProbeBW: when to probe, how far to go, and what its losses say of the path.

draft-ietf-ccwg-bbr-05, "ProbeBW" and "Probing for Bandwidth In ProbeBW"; names of its functions in
brackets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from policies.congestion.base import (
    A_ACKED,
    A_DELIVERED,
    A_INFLIGHT,
    A_LOST_TOTAL,
    A_NOW_NS,
    A_TX_INFLIGHT,
    A_TX_LOST_TOTAL,
    CWND,
    L_DELIVERED,
    L_LOST_TOTAL,
    L_NOW_NS,
    L_TX_INFLIGHT,
    L_TX_LOST_TOTAL,
)
from policies.congestion.bbr3_model import advance_max_bw, reset_congestion_signals, start_round
from policies.congestion.bbr3_state import (
    ACK_PHASE,
    ACKS_FEEDBACK,
    ACKS_INIT,
    ACKS_REFILLING,
    ACKS_STARTING,
    ACKS_STOPPING,
    BETA,
    BW_PROBE_SAMPLES,
    BW_PROBE_UP_ACKS,
    BW_PROBE_UP_ROUNDS,
    BW_PROBE_WAIT,
    CRUISE,
    CYCLE_STAMP,
    DOWN,
    FULL_BW_NOW,
    FULL_BW_REACHED,
    INFLIGHT_LONGTERM,
    LOSS_THRESH,
    MODE,
    PROBE_UP_CNT,
    REFILL,
    ROUND_START,
    ROUNDS_SINCE_BW_PROBE,
    SAMPLE_BPS,
    SAMPLE_LIMITED,
    UP,
    in_probe_bw,
    inflight_at,
    inflight_with_headroom,
    is_cwnd_limited,
    max_bw,
    reset_full_bw,
    reset_short_term,
    target_inflight,
)
from policies.congestion.hooks import draw

RENO_ROUNDS = 63.0
SLOPE_ROUNDS_MOST = 30.0


@njit(cache=True)
def start_down(state: Any, now_ns: float, delivered: float) -> None:
    """Enter DOWN and draw when to probe next (BBRStartProbeBW_DOWN, BBRPickProbeWait)."""
    reset_congestion_signals(state)
    state[PROBE_UP_CNT] = float("inf")
    state[ROUNDS_SINCE_BW_PROBE] = np.floor(2.0 * draw(state))
    state[BW_PROBE_WAIT] = (2.0 + draw(state)) * 1e9
    state[CYCLE_STAMP] = now_ns
    state[ACK_PHASE] = ACKS_STOPPING
    start_round(state, delivered)
    state[MODE] = DOWN


@njit(cache=True)
def _start_refill(state: Any, delivered: float) -> None:
    """Enter REFILL: a round at the bandwidth without short-term bounds (BBRStartProbeBW_REFILL)."""
    reset_short_term(state)
    state[BW_PROBE_UP_ROUNDS] = 0.0
    state[BW_PROBE_UP_ACKS] = 0.0
    state[ACK_PHASE] = ACKS_REFILLING
    start_round(state, delivered)
    state[MODE] = REFILL


@njit(cache=True)
def _start_up(state: Any, delivered: float) -> None:
    """Enter UP (BBRStartProbeBW_UP)."""
    state[BW_PROBE_SAMPLES] = 1.0
    state[ACK_PHASE] = ACKS_STARTING
    start_round(state, delivered)
    reset_full_bw(state, state[SAMPLE_BPS])
    state[MODE] = UP
    _raise_slope(state)


@njit(cache=True)
def update_probe_bw(state: Any, ack: Any) -> None:
    """Advance the cycle of the four phases (BBRUpdateProbeBWCyclePhase)."""
    if state[FULL_BW_REACHED] == 0.0:
        return
    _adapt_long_term(state, ack)
    mode = state[MODE]
    if mode in (DOWN, CRUISE):
        if _time_to_probe(state, ack[A_NOW_NS]):
            _start_refill(state, ack[A_DELIVERED])
        elif mode == DOWN and _time_to_cruise(state, ack[A_INFLIGHT]):
            state[MODE] = CRUISE
    elif mode == REFILL:
        if state[ROUND_START] > 0.0:
            _start_up(state, ack[A_DELIVERED])
    elif mode == UP and _time_to_go_down(state):
        start_down(state, ack[A_NOW_NS], ack[A_DELIVERED])


@njit(cache=True)
def _time_to_probe(state: Any, now_ns: float) -> bool:
    """Return whether 2 to 3 s passed, or as many rounds as Reno would need (BBRIsTimeToProbeBW)."""
    rounds = min(target_inflight(state), RENO_ROUNDS)
    waited = now_ns > state[CYCLE_STAMP] + state[BW_PROBE_WAIT]
    return waited or state[ROUNDS_SINCE_BW_PROBE] >= rounds


@njit(cache=True)
def _time_to_cruise(state: Any, inflight: float) -> bool:
    """Return whether the queue is gone and headroom is left (BBRIsTimeToCruise)."""
    room = min(inflight_with_headroom(state), inflight_at(state, max_bw(state)))
    return inflight <= room


@njit(cache=True)
def _time_to_go_down(state: Any) -> bool:
    """Return whether bandwidth stopped growing (BBRIsTimeToGoDown).

    It could not grow while inflight_longterm was the limit; then the search begins anew.
    """
    if is_cwnd_limited(state) and state[CWND] >= state[INFLIGHT_LONGTERM]:
        reset_full_bw(state, state[SAMPLE_BPS])
        return False
    return state[FULL_BW_NOW] > 0.0


@njit(cache=True)
def _adapt_long_term(state: Any, ack: Any) -> None:
    """Follow what ACKs tell of a probe; raise inflight_longterm (BBRAdaptLongTermModel)."""
    if state[ROUND_START] > 0.0 and state[ACK_PHASE] == ACKS_STARTING:
        state[ACK_PHASE] = ACKS_FEEDBACK
    elif state[ROUND_START] > 0.0 and state[ACK_PHASE] == ACKS_STOPPING:
        state[BW_PROBE_SAMPLES] = 0.0
        state[ACK_PHASE] = ACKS_INIT
        if in_probe_bw(state[MODE]) and state[SAMPLE_LIMITED] == 0.0:
            advance_max_bw(state)
    lost = ack[A_LOST_TOTAL] - ack[A_TX_LOST_TOTAL]
    if state[INFLIGHT_LONGTERM] == float("inf") or too_high(lost, ack[A_TX_INFLIGHT]):
        return
    state[INFLIGHT_LONGTERM] = max(state[INFLIGHT_LONGTERM], ack[A_TX_INFLIGHT])
    if state[MODE] == UP:
        _probe_upward(state, ack[A_ACKED])


@njit(cache=True)
def _raise_slope(state: Any) -> None:
    """Double the growth of inflight_longterm per round (BBRRaiseInflightLongtermSlope)."""
    growth = 2.0 ** state[BW_PROBE_UP_ROUNDS]
    state[BW_PROBE_UP_ROUNDS] = min(state[BW_PROBE_UP_ROUNDS] + 1.0, SLOPE_ROUNDS_MOST)
    state[PROBE_UP_CNT] = max(state[CWND] / growth, 1.0)


@njit(cache=True)
def _probe_upward(state: Any, acked: float) -> None:
    """Grow inflight_longterm while it is the limit (BBRProbeInflightLongtermUpward)."""
    if not is_cwnd_limited(state) or state[CWND] < state[INFLIGHT_LONGTERM]:
        return
    state[BW_PROBE_UP_ACKS] += acked
    if state[BW_PROBE_UP_ACKS] >= state[PROBE_UP_CNT]:
        growth = np.floor(state[BW_PROBE_UP_ACKS] / state[PROBE_UP_CNT])
        state[BW_PROBE_UP_ACKS] -= growth * state[PROBE_UP_CNT]
        state[INFLIGHT_LONGTERM] += growth
    if state[ROUND_START] > 0.0:
        _raise_slope(state)


@njit(cache=True)
def too_high(lost: float, tx_inflight: float) -> bool:
    """Return whether over 2 % of a flight were lost, both in packets (IsInflightTooHigh)."""
    return lost > LOSS_THRESH * tx_inflight


@njit(cache=True)
def judge_loss(state: Any, loss: Any) -> None:
    """Bound inflight_longterm if a probe's loss passed 2 % (BBRHandleLostPacket).

    Only the first loss of a probe that goes too far counts (BBRHandleInflightTooHigh).
    """
    lost = loss[L_LOST_TOTAL] - loss[L_TX_LOST_TOTAL]
    if state[BW_PROBE_SAMPLES] == 0.0 or not too_high(lost, loss[L_TX_INFLIGHT]):
        return
    state[BW_PROBE_SAMPLES] = 0.0
    safe = inflight_at_loss(lost, loss[L_TX_INFLIGHT])
    state[INFLIGHT_LONGTERM] = max(safe, BETA * target_inflight(state))
    if state[MODE] == UP:
        start_down(state, loss[L_NOW_NS], loss[L_DELIVERED])


@njit(cache=True)
def inflight_at_loss(lost: float, tx_inflight: float) -> float:
    """Return the packets in flight at which losses crossed 2 % (BBRInflightAtLoss)."""
    before, lost_before = tx_inflight - 1.0, lost - 1.0
    prefix = (LOSS_THRESH * before - lost_before) / (1.0 - LOSS_THRESH)
    return before + max(prefix, 0.0)
