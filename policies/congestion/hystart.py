"""HyStart++: leave the first slow start when the round-trip time rises, before packets are lost.

RFC 9406. A controller appends `COLUMNS` to its state and tells these functions where they begin
(`at`). The rise leads to Conservative Slow Start (CSS), which grows at a quarter of the speed; it
ends slow start after five rounds, or turns back if the rise was a false alarm.

Deviations:
    A round ends with the ACK of the first packet that was sent after it began, one packet later
    than RFC 9406 says; all samples of a round are then of packets sent in it.
    L is 8 packets also for a controller that paces (RFC 9406 has no limit there).
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from policies.congestion.base import A_ACKED, A_NEXT_PACKET, A_PACKET, A_RTT_NS

COLUMNS = ("round_end", "round_rtt_ns", "last_rtt_ns", "samples", "css_baseline_ns", "css_rounds")
(
    ROUND_END,  # number of the packet whose ACK ends the round
    ROUND_RTT_NS,  # least sample of this round; inf: none yet
    LAST_RTT_NS,  # least sample of the round before
    SAMPLES,  # in this round
    CSS_BASELINE_NS,  # least sample of the round in which CSS began; inf: not in CSS
    CSS_ROUNDS,  # rounds that ended in CSS
) = range(len(COLUMNS))

MIN_RTT_THRESH_NS = 4e6
MAX_RTT_THRESH_NS = 16e6
MIN_RTT_DIVISOR = 8.0
N_RTT_SAMPLE = 8.0
CSS_GROWTH_DIVISOR = 4.0
MAX_CSS_ROUNDS = 5.0
L = 8.0


@njit(cache=True)
def begin(state: Any, at: int) -> None:
    """Set the columns from `at` on to those of a connection that begins."""
    for i in range(len(COLUMNS)):
        state[at + i] = 0.0
    state[at + ROUND_RTT_NS] = math.inf
    state[at + LAST_RTT_NS] = math.inf
    state[at + CSS_BASELINE_NS] = math.inf


@njit(cache=True)
def growth(state: Any, at: int, event: Any) -> float:
    """Return what an ACK adds to the window in slow start or CSS, packets, > 0."""
    most = min(event[A_ACKED], L)
    return most / CSS_GROWTH_DIVISOR if state[at + CSS_BASELINE_NS] < math.inf else most


@njit(cache=True)
def is_over(state: Any, at: int, event: Any) -> bool:
    """Take in an ACK of slow start or CSS; return whether congestion avoidance begins."""
    if event[A_PACKET] >= state[at + ROUND_END] and _end_round(state, at, event):
        return True
    state[at + ROUND_RTT_NS] = min(state[at + ROUND_RTT_NS], event[A_RTT_NS])
    state[at + SAMPLES] += 1.0
    if state[at + SAMPLES] >= N_RTT_SAMPLE:
        _judge(state, at)
    return False


@njit(cache=True)
def _end_round(state: Any, at: int, event: Any) -> bool:
    """Begin the next round; return whether CSS has lasted for all its rounds."""
    state[at + ROUND_END] = event[A_NEXT_PACKET]
    state[at + LAST_RTT_NS] = state[at + ROUND_RTT_NS]
    state[at + ROUND_RTT_NS] = math.inf
    state[at + SAMPLES] = 0.0
    if state[at + CSS_BASELINE_NS] == math.inf:
        return False
    state[at + CSS_ROUNDS] += 1.0
    return state[at + CSS_ROUNDS] >= MAX_CSS_ROUNDS


@njit(cache=True)
def _judge(state: Any, at: int) -> None:
    """Enter CSS where the delay rose, and leave it where it fell below the baseline."""
    least, last = state[at + ROUND_RTT_NS], state[at + LAST_RTT_NS]
    if state[at + CSS_BASELINE_NS] < math.inf:
        if least < state[at + CSS_BASELINE_NS]:
            state[at + CSS_BASELINE_NS] = math.inf
        return
    threshold = max(MIN_RTT_THRESH_NS, min(last / MIN_RTT_DIVISOR, MAX_RTT_THRESH_NS))
    if least >= last + threshold:  # never where there is no earlier round: last is inf then
        state[at + CSS_BASELINE_NS] = least
        state[at + CSS_ROUNDS] = 0.0
