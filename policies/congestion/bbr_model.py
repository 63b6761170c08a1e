"""BBRv1's model of the path: rounds, bandwidth, ACK aggregation, and whether the pipe is full.

Linux net/ipv4/tcp_bbr.c.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from policies.congestion.base import (
    A_ACKED,
    A_DELIVERED,
    A_LOST,
    A_LOST_TOTAL,
    A_NOW_NS,
    A_PRIOR_DELIVERED,
    CWND,
)
from policies.congestion.bbr_policer import sample_policer
from policies.congestion.bbr_sample import delivery_rate, is_limited
from policies.congestion.bbr_state import (
    BW,
    BW_ROUNDS,
    DELIVERED_STAMP,
    EPOCH_ACKED,
    EPOCH_STAMP,
    EXTRA_ACKED,
    EXTRA_ACKED_INDEX,
    EXTRA_ACKED_ROUNDS,
    FULL_BW,
    FULL_BW_COUNT,
    FULL_BW_REACHED,
    LIMITED,
    NEXT_ROUND_DELIVERED,
    PACKET_BITS,
    PACKET_CONSERVATION,
    ROUND_START,
    ROUNDS,
    SAMPLE_BPS,
    SAMPLE_LIMITED,
    bandwidth,
    max_bw,
)
from policies.congestion.filters import running_max

FULL_BW_GROWTH = 1.25
FULL_BW_ROUNDS = 3.0
EXTRA_ACKED_WINDOW_ROUNDS = 5.0
EPOCH_ACKED_MOST = 2.0**20


@njit(cache=True)
def update_bw(state: Any, ack: Any) -> None:
    """Count rounds and take in the ACK's bandwidth sample (bbr_update_bw)."""
    state[DELIVERED_STAMP] = ack[A_NOW_NS]
    state[SAMPLE_BPS] = delivery_rate(ack, state[PACKET_BITS])
    state[SAMPLE_LIMITED] = 1.0 if is_limited(state, LIMITED, ack) else 0.0
    state[ROUND_START] = 0.0
    if state[SAMPLE_BPS] < 0.0:
        return
    if ack[A_PRIOR_DELIVERED] >= state[NEXT_ROUND_DELIVERED]:
        state[NEXT_ROUND_DELIVERED] = ack[A_DELIVERED]
        state[ROUNDS] += 1.0
        state[ROUND_START] = 1.0
        state[PACKET_CONSERVATION] = 0.0
    sample_policer(state, ack[A_DELIVERED], ack[A_LOST_TOTAL], ack[A_LOST])
    if state[SAMPLE_LIMITED] == 0.0 or state[SAMPLE_BPS] >= max_bw(state):
        running_max(state, BW, BW_ROUNDS, state[ROUNDS], state[SAMPLE_BPS])


@njit(cache=True)
def update_aggregation(state: Any, ack: Any) -> None:
    """Track how far ACKs run ahead of the bandwidth estimate (bbr_update_ack_aggregation)."""
    if state[SAMPLE_BPS] < 0.0 or ack[A_ACKED] <= 0.0:
        return
    if state[ROUND_START] > 0.0:
        _turn_slots(state)
    expected = bandwidth(state) * (ack[A_NOW_NS] - state[EPOCH_STAMP]) / 1e9 / state[PACKET_BITS]
    expected = np.floor(expected)
    acked = state[EPOCH_ACKED]
    if acked <= expected or acked + ack[A_ACKED] >= EPOCH_ACKED_MOST:
        acked = 0.0
        state[EPOCH_STAMP] = ack[A_NOW_NS]
        expected = 0.0
    state[EPOCH_ACKED] = min(acked + ack[A_ACKED], EPOCH_ACKED_MOST - 1.0)
    extra = min(state[EPOCH_ACKED] - expected, state[CWND])
    slot = EXTRA_ACKED + int(state[EXTRA_ACKED_INDEX])
    state[slot] = max(state[slot], extra)


@njit(cache=True)
def _turn_slots(state: Any) -> None:
    """Every five rounds empty the older of the two maxima, and fill that one."""
    state[EXTRA_ACKED_ROUNDS] += 1.0
    if state[EXTRA_ACKED_ROUNDS] >= EXTRA_ACKED_WINDOW_ROUNDS:
        state[EXTRA_ACKED_ROUNDS] = 0.0
        state[EXTRA_ACKED_INDEX] = 1.0 - state[EXTRA_ACKED_INDEX]
        state[EXTRA_ACKED + int(state[EXTRA_ACKED_INDEX])] = 0.0


@njit(cache=True)
def check_full_bw(state: Any) -> None:
    """Call the pipe full after three rounds without 25 % growth (bbr_check_full_bw_reached)."""
    if state[FULL_BW_REACHED] > 0.0 or state[ROUND_START] == 0.0 or state[SAMPLE_LIMITED] > 0.0:
        return
    if max_bw(state) >= FULL_BW_GROWTH * state[FULL_BW]:
        state[FULL_BW] = max_bw(state)
        state[FULL_BW_COUNT] = 0.0
        return
    state[FULL_BW_COUNT] += 1.0
    if state[FULL_BW_COUNT] >= FULL_BW_ROUNDS:
        state[FULL_BW_REACHED] = 1.0
