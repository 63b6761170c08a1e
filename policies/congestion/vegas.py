"""Vegas: keep two to four packets in the queue, as the round-trip time tells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from policies.congestion import reno
from policies.congestion.base import (
    A_ACKED,
    A_IN_RECOVERY,
    A_MIN_RTT_NS,
    A_NEXT_PACKET,
    A_PACKET,
    A_RTT_NS,
    CWND,
    L_NEW_EPISODE,
    L_NEXT_PACKET,
    Controller,
    register,
)
from policies.congestion.hooks import hook
from policies.congestion.reno import SSTHRESH, slow_start

STATE = (*reno.STATE, "round_end", "round_rtt_ns", "samples")
(
    ROUND_END,  # number of the packet whose ACK ends the round trip
    ROUND_RTT_NS,  # least sample of this round trip
    SAMPLES,  # in this round trip
) = range(len(reno.STATE), len(STATE))
ALPHA, BETA, GAMMA = range(3)
ENOUGH = 3.0
LEAST = 2.0


@hook
def init(state: Any, flow: Any, constants: Any) -> None:
    """Begin in slow start, from the flow's initial window."""
    reno.init(state, flow, constants)
    _begin_round(state, 0.0)


@hook
def on_ack(state: Any, event: Any, constants: Any) -> None:
    """Grow in slow start; once per round trip compare its delay with the least one."""
    if event[A_IN_RECOVERY] > 0.0:
        return
    state[ROUND_RTT_NS] = min(state[ROUND_RTT_NS], event[A_RTT_NS])
    state[SAMPLES] += 1.0
    if event[A_PACKET] >= state[ROUND_END]:
        if state[SAMPLES] >= ENOUGH:
            _adjust(state, event, constants)
        else:
            reno.on_ack(state, event, constants)
        _begin_round(state, event[A_NEXT_PACKET])
    elif state[CWND] < state[SSTHRESH]:
        state[CWND] = slow_start(state[CWND], state[SSTHRESH], event[A_ACKED])


@hook
def on_loss(state: Any, event: Any, constants: Any) -> None:
    """Reduce as Reno does, and measure anew once that is over."""
    reno.on_loss(state, event, constants)
    if event[L_NEW_EPISODE] > 0.0:
        _begin_round(state, event[L_NEXT_PACKET])


@njit(cache=True)
def _begin_round(state: Any, next_packet: float) -> None:
    state[ROUND_END] = next_packet
    state[ROUND_RTT_NS] = math.inf
    state[SAMPLES] = 0.0


@njit(cache=True)
def _adjust(state: Any, event: Any, constants: Any) -> None:
    """Change the window by what its last round trip left in the queue."""
    cwnd, base = state[CWND], max(event[A_MIN_RTT_NS], 1.0)
    rtt = max(state[ROUND_RTT_NS], base)
    queued = cwnd * (rtt - base) / base
    if cwnd < state[SSTHRESH]:
        _adjust_slow_start(state, event, queued > constants[GAMMA], cwnd * base / rtt)
    elif queued > constants[BETA]:
        state[CWND] = cwnd - 1.0
        state[SSTHRESH] = min(state[SSTHRESH], state[CWND])
    elif queued < constants[ALPHA]:
        state[CWND] = cwnd + 1.0
    state[CWND] = max(state[CWND], LEAST)
    state[SSTHRESH] = max(state[SSTHRESH], 0.75 * state[CWND])


@njit(cache=True)
def _adjust_slow_start(state: Any, event: Any, too_fast: bool, target: float) -> None:
    if too_fast:
        state[CWND] = min(state[CWND], target + 1.0)
        state[SSTHRESH] = min(state[SSTHRESH], state[CWND])
    else:
        state[CWND] = slow_start(state[CWND], state[SSTHRESH], event[A_ACKED])


@register("vegas")
class Vegas(Controller):
    """Vegas of Brakmo, O'Malley and Peterson (SIGCOMM 1994) as in Linux (net/ipv4/tcp_vegas.c).

    Once per round trip it takes the least RTT of that round trip and the least one of the
    connection (base), and reckons with diff = cwnd (rtt - base) / base packets in the queue. Below
    three samples per round trip, and at losses, it is Reno.

    Parameters:
        alpha, beta: packets; the window grows by one below alpha and shrinks by one above beta.
        gamma: packets; slow start ends above it.

    Deviations from the paper, as Linux has them:
        diff is divided by base, not by rtt, so it counts (rtt / base) times the packets queued.
        Slow start grows in every round trip, not in every second one.
        Losses are found as by any other controller, not by Vegas' finer timer.
    Deviations from Linux:
        Windows and diff are real numbers; Linux truncates diff, so that its beta acts as 5.
        Measuring begins with the first packet sent after a loss, not with the end of recovery; the
        round trip in which recovery ends is Reno's in both.
        base is never forgotten, for a flow never idles.
        Half of the packets in flight, not of the window, is what a loss leaves (`reno`).
    """

    state = STATE
    parameters: ClassVar[Mapping[str, float]] = {"alpha": 2.0, "beta": 4.0, "gamma": 1.0}
    init = init
    on_ack = on_ack
    on_loss = on_loss

    @classmethod
    def constants(cls, parameters: Mapping[str, float]) -> NDArray[np.float64]:
        """Return alpha, beta, gamma.

        Raises:
            ValueError: a parameter that is unknown or not finite, or alpha above beta.
        """
        given = super().constants(parameters)
        if given[ALPHA] > given[BETA]:
            raise ValueError(f"vegas needs alpha <= beta, got {given[ALPHA]} and {given[BETA]}")
        return given
