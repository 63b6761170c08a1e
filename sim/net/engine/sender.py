"""The sender: what it may send, and when (docs/network-model.md)."""

from __future__ import annotations

import math
from typing import Any

from numba import njit

from policies.congestion.base import (
    CWND,
    PACING_BPS,
)
from sim.net.engine import monitor
from sim.net.engine.accounts import count_sent
from sim.net.engine.arrival import enter
from sim.net.engine.layout import (
    ACK_EVERY,
    ACK_PACKET,
    ATTRIBUTION,
    BACKOFF,
    DELIVERED,
    DELIVERED_NS,
    FIRST_LINK,
    FIRST_SENT,
    HAS_RTT,
    INFLIGHT,
    INTERVAL_FIRST,
    LOST_TOTAL,
    MIN_RTO,
    NEVER,
    NEXT_PACE,
    NEXT_PACKET,
    NEXT_SEND,
    ON_INTERVAL,
    P_ACK_AT,
    P_DELIVERED,
    P_DELIVERED_NS,
    P_FIRST_SENT,
    P_INTERVAL,
    P_SENT,
    P_TX_INFLIGHT,
    P_TX_LOST,
    PACKET_BYTES,
    RTTVAR,
    SCAN,
    SRTT,
    STARTED,
    STATE,
    STOP,
    TIMER,
)
from sim.net.engine.receiver import find_next_ack, slot

LONGEST_GAP_NS = 1e15
LONGEST_RTO_NS = 60_000_000_000
FIRST_RTO_NS = 1_000_000_000
GRANULARITY_NS = 1_000_000.0


@njit(cache=True, forceinline=True)
def plan_send(w: Any, d: Any, flow: int, now: int) -> None:
    """Set NEXT_SEND: when the next packet may go, or NEVER while the window is full."""
    time = NEVER
    if w[flow + INFLIGHT] + 1 <= max(d[w[flow + STATE] + CWND], 1.0):
        time = max(now, w[flow + NEXT_PACE])
        if time >= w[flow + STOP]:
            time = NEVER
    w[flow + NEXT_SEND] = time


@njit(cache=True, forceinline=True)
def send(w: Any, d: Any, flow: int, now: int) -> None:
    """Send the next packet."""
    if w[flow + STARTED] == 0:
        w[flow + STARTED] = 1
        if w[flow + ON_INTERVAL]:
            monitor.begin(w, d, flow, now)
    packet = w[flow + NEXT_PACKET]
    inflight = w[flow + INFLIGHT] + 1
    if inflight == 1:
        w[flow + FIRST_SENT] = w[flow + DELIVERED_NS] = now
    row = slot(w, flow, packet)
    w[row + P_SENT] = now
    w[row + P_ACK_AT] = NEVER
    w[row + P_DELIVERED] = w[flow + DELIVERED]
    w[row + P_DELIVERED_NS] = w[flow + DELIVERED_NS]
    w[row + P_FIRST_SENT] = w[flow + FIRST_SENT]
    w[row + P_TX_INFLIGHT] = inflight
    w[row + P_TX_LOST] = w[flow + LOST_TOTAL]
    w[flow + INFLIGHT] = inflight
    w[flow + NEXT_PACKET] = packet + 1
    if w[flow + ON_INTERVAL]:
        if w[flow + ATTRIBUTION]:
            w[row + P_INTERVAL] = monitor.note_sent_in(w, d, flow, packet)
        monitor.note_sent(w, flow, now)
    if w[flow + TIMER] == NEVER:
        w[flow + TIMER] = now + retransmission_timeout(w, d, flow)
    size = w[flow + PACKET_BYTES]
    rate_bps = d[w[flow + STATE] + PACING_BPS]
    w[flow + NEXT_PACE] = now
    if rate_bps < math.inf:
        w[flow + NEXT_PACE] += int(min(size * 8e9 / rate_bps + 0.5, LONGEST_GAP_NS))
    count_sent(w, d, flow, packet, inflight, now)
    enter(w, d, w[flow + FIRST_LINK], flow, packet, size, 0, now, now)
    if packet == w[flow + ACK_PACKET] or w[flow + ACK_EVERY] > 1:
        find_next_ack(w, flow)
    plan_send(w, d, flow, now)


@njit(cache=True, forceinline=True)
def retransmission_timeout(w: Any, d: Any, flow: int) -> int:
    """Return the RTO of RFC 6298, ns, the backed-off one after a time-out."""
    rto = FIRST_RTO_NS
    if w[flow + HAS_RTT]:
        rto = int(d[flow + SRTT] + max(4.0 * d[flow + RTTVAR], GRANULARITY_NS))
        rto = max(w[flow + MIN_RTO], rto)
    return min(min(rto, LONGEST_RTO_NS) * w[flow + BACKOFF], LONGEST_RTO_NS)


@njit(cache=True)
def room_needed(w: Any, flow: int) -> int:
    """Return how many packets the flow's ring must hold to send one more."""
    oldest = min(w[flow + SCAN], w[flow + ACK_PACKET])
    if w[flow + ON_INTERVAL]:
        oldest = min(oldest, w[flow + INTERVAL_FIRST])
    return w[flow + NEXT_PACKET] + 1 - oldest
