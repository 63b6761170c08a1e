"""Reno: slow start, one packet more per round trip, half the window at a loss."""

from __future__ import annotations

from typing import Any

from numba import njit

from policies.congestion import base
from policies.congestion.base import (
    A_ACKED,
    A_IN_RECOVERY,
    CWND,
    INITIAL_WINDOW,
    L_DELIVERED,
    L_NEW_EPISODE,
    L_PRIOR_INFLIGHT,
    L_TIMEOUT,
    OWN,
    PACING_BPS,
    Controller,
    register,
)
from policies.congestion.hooks import hook

STATE = (*base.STATE, "ssthresh", "stalled_at")
(
    SSTHRESH,  # packets; slow start below it
    STALLED_AT,  # packets delivered at the latest time-out; -1: there was none
) = range(OWN, len(STATE))
LEAST = 2.0  # packets; floor of ssthresh
ABC_LIMIT = 2.0  # packets; L of RFC 3465


@njit(cache=True)
def slow_start(cwnd: float, ssthresh: float, acked: float) -> float:
    """Return the window, packets, after an ACK in slow start: RFC 3465 with L = 2."""
    return min(cwnd + min(acked, ABC_LIMIT), ssthresh)


@njit(cache=True)
def is_repeated_timeout(state: Any, event: Any) -> bool:
    """Return whether nothing was delivered since the time-out before this one, and note it.

    RFC 5681, section 3.1: what is lost again by time-out leaves ssthresh as it is. Without that
    rule ssthresh would end at its floor, a packet in flight being all there is by then.
    """
    if event[L_TIMEOUT] == 0.0:
        return False
    repeated = event[L_DELIVERED] == state[STALLED_AT]
    state[STALLED_AT] = event[L_DELIVERED]
    return repeated


@hook
def init(state: Any, flow: Any, constants: Any) -> None:
    """Begin in slow start, from the flow's initial window."""
    state[CWND] = flow[INITIAL_WINDOW]
    state[PACING_BPS] = float("inf")
    state[SSTHRESH] = float("inf")
    state[STALLED_AT] = -1.0


@hook
def on_ack(state: Any, event: Any, constants: Any) -> None:
    """Grow the window: RFC 5681, section 3.1; not at all during recovery."""
    if event[A_IN_RECOVERY] > 0.0:
        return
    if state[CWND] < state[SSTHRESH]:
        state[CWND] = slow_start(state[CWND], state[SSTHRESH], event[A_ACKED])
    else:
        state[CWND] += min(event[A_ACKED] / state[CWND], 1.0)


@hook
def on_loss(state: Any, event: Any, constants: Any) -> None:
    """Halve the window once per loss episode; begin anew after a time-out."""
    if event[L_NEW_EPISODE] == 0.0:
        return
    if not is_repeated_timeout(state, event):
        state[SSTHRESH] = max(0.5 * event[L_PRIOR_INFLIGHT], LEAST)
    state[CWND] = 1.0 if event[L_TIMEOUT] > 0.0 else state[SSTHRESH]


@register("reno")
class Reno(Controller):
    """Reno of RFC 5681 over selective acknowledgements; a window, no pacing, no parameters.

    Slow start counts packets as RFC 3465 does, at most L = 2 per ACK, so that it doubles the
    window per round trip also where every second packet is acknowledged. Congestion avoidance
    adds acked / cwnd per ACK: a packet per round trip. A loss sets ssthresh and the window to half
    the packets in flight, and once only until all that was in flight is settled (the recovery
    point of RFC 6582). In recovery the window stands still. The window is then above what is in
    flight only once enough has left the network; until then the sender waits, which is the pipe
    rule of RFC 6675.

    Deviations:
        No inflation of the window by duplicate ACKs (RFC 5681, section 3.2): with selective
        acknowledgements packets in flight are known.
        L stays 2 after a time-out, where RFC 3465 says 1: what is acknowledged here are single
        transmissions, so an ACK never covers what had arrived long before.
        The growth that one ACK allows in congestion avoidance ends at one packet.
        Windows are real numbers; the transport sends whole packets.
        There is no check of whether the window was used: senders have endless data.
    """

    state = STATE
    init = init
    on_ack = on_ack
    on_loss = on_loss
