"""The receiver: it turns deliveries into ACKs, as soon as a packet's delivery is known."""

from __future__ import annotations

from typing import Any

from numba import njit

from sim.net.engine.accounts import count_delivered
from sim.net.engine.layout import (
    ACK_EVERY,
    ACK_PACKET,
    ACK_WAIT,
    DEADLINE,
    DROPPED,
    FIRST_PENDING,
    KIND,
    LAST_ARRIVED,
    MASK,
    NEVER,
    NEXT_ACK,
    NEXT_PACKET,
    P_ACK_AT,
    PACKET_WIDTH,
    PACKETS,
    PENDING,
    RETURN_NS,
)


@njit(cache=True, forceinline=True)
def slot(w: Any, flow: int, packet: int) -> int:
    """Return the handle of a packet in its flow's ring."""
    return w[flow + PACKETS] + (packet & w[flow + MASK]) * PACKET_WIDTH


@njit(cache=True, forceinline=True)
def deliver(w: Any, d: Any, flow: int, packet: int, size: int, wait: int, time: int) -> None:
    """A packet reaches the end of its path at `time`, now or later; deliveries are in order."""
    count_delivered(w, d, flow, packet, size, wait, time)
    if w[flow + KIND]:
        return
    if w[flow + ACK_EVERY] == 1:
        w[slot(w, flow, packet) + P_ACK_AT] = time + w[flow + RETURN_NS]
        return
    _delay_ack(w, flow, packet, time)


@njit(cache=True)
def _delay_ack(w: Any, flow: int, packet: int, time: int) -> None:
    if w[flow + PENDING] and w[flow + DEADLINE] < time:
        acknowledge_pending(w, flow, w[flow + DEADLINE])
    gap = packet != w[flow + LAST_ARRIVED] + 1
    w[flow + LAST_ARRIVED] = packet
    w[flow + PENDING] += 1
    if w[flow + PENDING] == 1:
        w[flow + FIRST_PENDING] = packet
        w[flow + DEADLINE] = time + w[flow + ACK_WAIT]
    if gap or w[flow + PENDING] >= w[flow + ACK_EVERY]:
        acknowledge_pending(w, flow, time)


@njit(cache=True)
def acknowledge_pending(w: Any, flow: int, time: int) -> None:
    """Send one ACK at `time` for all packets that have arrived and are not acknowledged."""
    for packet in range(w[flow + FIRST_PENDING], w[flow + LAST_ARRIVED] + 1):
        row = slot(w, flow, packet)
        if w[row + P_ACK_AT] == NEVER:
            w[row + P_ACK_AT] = time + w[flow + RETURN_NS]
    w[flow + PENDING] = 0


@njit(cache=True, forceinline=True)
def find_next_ack(w: Any, flow: int) -> None:
    """Set NEXT_ACK to the time of the next ACK that is known to reach the sender."""
    packet = w[flow + ACK_PACKET]
    newest = w[flow + NEXT_PACKET]
    time = NEVER
    while packet < newest:
        time = w[slot(w, flow, packet) + P_ACK_AT]
        if time != DROPPED:
            break
        packet += 1
        time = NEVER
    w[flow + ACK_PACKET] = packet
    if time == NEVER and w[flow + PENDING]:
        time = w[flow + DEADLINE] + w[flow + RETURN_NS]
    w[flow + NEXT_ACK] = time
