"""The set of coming events: a winner tree over the links and flows that can have any.

Each entity has one key, the time of its next event times 8 plus the event's class. The tree
answers which is least; of equal keys the one with the lower index wins, so that the order is that
of docs/network-model.md.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from sim.net.engine.layout import (
    ACK_ARRIVES,
    DEQUEUE,
    ENTITY,
    EXITS,
    EXITS_HEAD,
    EXITS_MASK,
    EXITS_TAIL,
    HOP,
    INTERVAL_AT,
    INTERVAL_ENDS,
    K_ENTITY,
    KEYS,
    KIND,
    LEAVES,
    NEXT_ACK,
    NEXT_DEQUEUE,
    NEXT_SEND,
    QUEUED_WIDTH,
    SEND,
    STOP,
    TIMEOUT,
    TIMER,
    WINNERS,
)
from sim.net.engine.receiver import find_next_ack


@njit(cache=True, forceinline=True)
def set_key(w: Any, entity: int, key: int) -> None:
    """Change the key of an entity."""
    keys, winners = w[KEYS], w[WINNERS]
    w[keys + entity] = key
    node = (w[LEAVES] + entity) >> 1
    while node >= 1:
        left, right = w[winners + 2 * node], w[winners + 2 * node + 1]
        best = left if w[keys + left] <= w[keys + right] else right
        if w[winners + node] == best and best != entity:
            return
        w[winners + node] = best
        node >>= 1


@njit(cache=True, forceinline=True)
def first(w: Any) -> int:
    """Return the entity whose event comes first."""
    return w[w[WINNERS] + 1]


@njit(cache=True, forceinline=True)
def next_event(w: Any, flow: int) -> int:
    """Return the key of the flow's next event."""
    key = min(w[flow + NEXT_ACK] * 8 + ACK_ARRIVES, w[flow + NEXT_SEND] * 8 + SEND)
    if w[flow + TIMER] < w[flow + STOP]:
        key = min(key, w[flow + TIMER] * 8 + TIMEOUT)
    if w[flow + INTERVAL_AT] < w[flow + STOP]:
        key = min(key, w[flow + INTERVAL_AT] * 8 + INTERVAL_ENDS)
    return key


@njit(cache=True)
def renew_flow(w: Any, flow: int) -> None:
    """Take in that the fate of one of the flow's packets has become known."""
    if w[flow + KIND] == 0:
        find_next_ack(w, flow)
        set_key(w, w[flow + ENTITY], next_event(w, flow))


@njit(cache=True, forceinline=True)
def renew_link(w: Any, link: int) -> None:
    """Take in that packets have entered or left the link."""
    if w[link + K_ENTITY] < 0:
        return
    key = w[link + NEXT_DEQUEUE] * 8 + DEQUEUE
    if w[link + EXITS_HEAD] != w[link + EXITS_TAIL]:
        row = w[link + EXITS] + (w[link + EXITS_HEAD] & w[link + EXITS_MASK]) * QUEUED_WIDTH
        key = min(key, w[row] * 8 + HOP)
    set_key(w, w[link + K_ENTITY], key)
