"""Copa: steer towards a rate of one packet per delta times the queueing delay."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from policies.congestion import base, filters
from policies.congestion.base import (
    A_ACKED,
    A_IN_RECOVERY,
    A_NEXT_PACKET,
    A_NOW_NS,
    A_PACKET,
    A_RTT_NS,
    A_SRTT_NS,
    CWND,
    INITIAL_WINDOW,
    L_NEW_EPISODE,
    L_TIMEOUT,
    OWN,
    PACING_BPS,
    PACKET_BYTES,
    Controller,
    register,
)
from policies.congestion.hooks import hook

FILTERS = ("least", "standing", "largest")
STATE = (
    *base.STATE,
    *("packet_bits", "delta_now", "velocity", "direction", "same", "in_slow_start"),
    *("round_end", "round_cwnd", "empty_ns", "competitive"),
    *(f"{name}_{column}" for name in FILTERS for column in range(filters.COLUMNS)),
)
(
    PACKET_BITS,  # on the wire
    DELTA_NOW,  # delta in use, 1/packets
    VELOCITY,  # v >= 1
    DIRECTION,  # of the window over the latest round trips: 1.0 up, -1.0 down, 0.0 unknown
    SAME,  # round trips in a row with that direction
    IN_SLOW_START,
    ROUND_END,  # number of the packet whose ACK ends the round trip
    ROUND_CWND,  # window when it began
    EMPTY_NS,  # when the queue was last seen nearly empty; -1: no ACK yet
    COMPETITIVE,  # 1.0: there seems to be somebody who fills the buffer
    LEAST_RTT,  # first columns of the filters
) = range(OWN, OWN + 11)
STANDING_RTT = LEAST_RTT + filters.COLUMNS
LARGEST_RTT = STANDING_RTT + filters.COLUMNS

DELTA, MODE_SWITCHING = range(2)
LEAST_CWND = 2.0
LEAST_WINDOW_NS = 10e9
LARGEST_ROUNDS = 4.0
EMPTY_ROUNDS = 5.0
NEARLY_EMPTY = 0.1
STEADY_ROUNDS = 3.0


@hook
def init(state: Any, flow: Any, constants: Any) -> None:
    """Begin in slow start, from the flow's initial window, not paced before the first RTT."""
    state[CWND] = flow[INITIAL_WINDOW]
    state[PACING_BPS] = math.inf
    state[PACKET_BITS] = 8.0 * flow[PACKET_BYTES]
    state[DELTA_NOW] = constants[DELTA]
    state[IN_SLOW_START] = 1.0
    state[EMPTY_NS] = -1.0
    _turn(state, 0.0)
    for i in range(len(FILTERS)):
        filters.reset(state, LEAST_RTT + i * filters.COLUMNS, -math.inf, math.inf)


@hook
def on_ack(state: Any, event: Any, constants: Any) -> None:
    """Move the window towards the target rate (2.1), choose the mode (2.2), and pace."""
    now, rtt, srtt = event[A_NOW_NS], event[A_RTT_NS], event[A_SRTT_NS]
    least = filters.running_min(state, LEAST_RTT, LEAST_WINDOW_NS, now, rtt)
    standing = filters.running_min(state, STANDING_RTT, 0.5 * srtt, now, rtt)
    largest = filters.running_max(state, LARGEST_RTT, LARGEST_ROUNDS * srtt, now, rtt)
    queueing = max(standing - least, 0.0)
    if constants[MODE_SWITCHING] > 0.0:
        is_empty = queueing <= NEARLY_EMPTY * (largest - least)
        _choose_mode(state, event, constants, is_empty)
    # cwnd / standing <= 1 / (delta queueing), of which the right side may be infinite.
    is_slow = state[CWND] * state[DELTA_NOW] * queueing <= standing
    if event[A_PACKET] >= state[ROUND_END]:
        _end_round(state, event)
    _move(state, event, is_slow)
    state[PACING_BPS] = 2e9 * state[CWND] * state[PACKET_BITS] / max(standing, 1.0)


@hook
def on_loss(state: Any, event: Any, constants: Any) -> None:
    """Double delta in competitive mode; begin anew after a time-out."""
    if event[L_NEW_EPISODE] == 0.0:
        return
    state[DELTA_NOW] = min(2.0 * state[DELTA_NOW], constants[DELTA])
    if event[L_TIMEOUT] > 0.0:
        state[CWND] = LEAST_CWND
        state[IN_SLOW_START] = 1.0
        _turn(state, 0.0)


@njit(cache=True)
def _choose_mode(state: Any, event: Any, constants: Any, is_empty: bool) -> None:
    """Compete where the queue was not nearly empty once in five round trips (2.2)."""
    now = event[A_NOW_NS]
    if is_empty or state[EMPTY_NS] < 0.0:
        state[EMPTY_NS] = now
    state[COMPETITIVE] = 0.0
    if now - state[EMPTY_NS] > EMPTY_ROUNDS * event[A_SRTT_NS]:
        state[COMPETITIVE] = 1.0
    else:
        state[DELTA_NOW] = constants[DELTA]


@njit(cache=True)
def _end_round(state: Any, event: Any) -> None:
    """Adapt the velocity and, in competitive mode, delta; begin the next round trip."""
    if state[IN_SLOW_START] == 0.0:
        _adapt_velocity(state)
    if state[COMPETITIVE] > 0.0 and event[A_IN_RECOVERY] == 0.0:
        state[DELTA_NOW] /= 1.0 + state[DELTA_NOW]  # 1 / delta grows by one
    state[ROUND_END] = event[A_NEXT_PACKET]
    state[ROUND_CWND] = state[CWND]


@njit(cache=True)
def _adapt_velocity(state: Any) -> None:
    """Double v each round trip once the direction was the same for three of them."""
    direction = 1.0 if state[CWND] > state[ROUND_CWND] else -1.0
    if direction != state[DIRECTION]:
        _turn(state, direction)
    state[SAME] += 1.0
    if state[SAME] > STEADY_ROUNDS:
        most = max(state[DELTA_NOW] * state[CWND], 1.0)
        state[VELOCITY] = min(2.0 * state[VELOCITY], most)


@njit(cache=True)
def _turn(state: Any, direction: float) -> None:
    state[DIRECTION] = direction
    state[SAME] = 0.0
    state[VELOCITY] = 1.0


@njit(cache=True)
def _move(state: Any, event: Any, is_slow: bool) -> None:
    """Change the window by v / (delta cwnd) per packet, or double it per round trip."""
    if state[IN_SLOW_START] > 0.0 and is_slow:
        state[CWND] += event[A_ACKED]
        return
    state[IN_SLOW_START] = 0.0
    wanted = 1.0 if is_slow else -1.0
    if state[VELOCITY] > 1.0 and state[DIRECTION] != wanted:
        _turn(state, wanted)
    step = min(state[VELOCITY] / (state[DELTA_NOW] * state[CWND]), 1.0)
    state[CWND] = max(state[CWND] + wanted * step * event[A_ACKED], LEAST_CWND)


@register("copa")
class Copa(Controller):
    """Copa of Arun and Balakrishnan (NSDI 2018; its sections in brackets); a window, and paced.

    On each ACK: queueing delay d = RTTstanding - RTTmin, the least RTT of the last srtt / 2 less
    the least one of 10 s. The window grows while cwnd / RTTstanding is at most 1 / (delta d), else
    it shrinks, by v / (delta cwnd) (2.1). The velocity v doubles per round trip once the window has
    moved in one direction for three; it is 1 again when that changes. At the start the window
    doubles per round trip until it first should shrink. Pacing is 2 cwnd / RTTstanding.

    Where the queue was not nearly empty (d below a tenth of RTTmax - RTTmin, RTTmax over four round
    trips) for five round trips it competes (2.2): 1 / delta grows by one per round trip and is
    halved at a loss. Otherwise losses are ignored.

    Parameters:
        delta: 1/packets, > 0; in competitive mode the largest value.
        mode_switching: 1: competitive mode exists; 0: delta is constant.

    Deviations:
        The filters keep three samples (`filters`): RTTstanding, RTTmin and RTTmax may be those of
        a somewhat shorter window.
        Steps are per acknowledged packet, so that delayed ACKs do not slow it, and at most one
        packet each: v is at most delta cwnd, and the window at most doubles per round trip.
        v is 1 at once, not only at the end of the round trip, when the window should move against
        the direction for which it grew (as mvfst does).
        A round trip ends with the ACK of the first packet sent after it began.
        The window is at least two packets. After a time-out, of which the paper says nothing, it is
        two packets and in slow start.
    """

    state = STATE
    parameters: ClassVar[Mapping[str, float]] = {"delta": 0.5, "mode_switching": 1.0}
    init = init
    on_ack = on_ack
    on_loss = on_loss

    @classmethod
    def constants(cls, parameters: Mapping[str, float]) -> NDArray[np.float64]:
        """Return delta and mode_switching.

        Raises:
            ValueError: a parameter that is unknown or not finite, or a delta that is not positive.
        """
        given = super().constants(parameters)
        if given[DELTA] <= 0.0:
            raise ValueError(f"copa needs delta > 0, got {given[DELTA]}")
        return given
