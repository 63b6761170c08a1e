"""The event loop: take the first event, handle it, until the time is up or room is short."""

from __future__ import annotations

from typing import Any

from numba import njit

from sim.net.engine import acks, aqm, monitor, sender
from sim.net.engine.agenda import first, next_event, renew_flow, renew_link, set_key
from sim.net.engine.arrival import enter
from sim.net.engine.layout import (
    ACK_ARRIVES,
    ACK_PACKET,
    ATTRIBUTION,
    DEQUEUE,
    DONE,
    ENTITIES,
    EVENTS,
    EXITS,
    EXITS_HEAD,
    EXITS_MASK,
    EXITS_TAIL,
    FIRST_LINK,
    GROW_EXITS,
    GROW_PACKETS,
    GROW_QUEUE,
    GROW_TRACE,
    HOP,
    INTERVAL_ENDS,
    INTERVAL_ID,
    INTERVAL_OPEN,
    K_INDEX,
    KEYS,
    KIND,
    MASK,
    NEXT_LINKS,
    NEXT_PACKET,
    NOW,
    PAUSE,
    PAUSED,
    Q_BYTES,
    Q_FLOW,
    Q_PACKET,
    Q_SENT,
    Q_WAIT,
    QUEUE_HEAD,
    QUEUE_MASK,
    QUEUE_TAIL,
    QUEUED_WIDTH,
    SCAN,
    SEND,
    STARTED,
    TIMEOUT,
    TRACE_COUNT,
    TRACE_RING,
    TRACE_ROOM,
    UNIFORM,
    WANTED,
)
from sim.net.engine.memory import floats, ints
from sim.net.engine.sources import send_open_loop

TRACE_MARGIN = 16
"""Records that an event may write beside one per packet it settles and interval it reports."""


@njit(cache=True)
def advance(arena: Any, until: int) -> int:
    """Handle every event up to `until`; return why it stopped.

    `GROW_...`: the flow or link in WANTED needs more room; the event has not been touched.
    `PAUSED`: a flow with PAUSE reported a monitor interval.
    """
    w = ints(arena.ctypes.data)
    d = floats(w)
    while True:
        entity = first(w)
        key = w[w[KEYS] + entity]
        now = key >> 3
        if now > until:
            w[NOW] = until
            return DONE
        what = key & 7
        handle = w[w[ENTITIES] + entity]
        if what == SEND or what < ACK_ARRIVES or w[TRACE_RING]:
            short = _shortage(w, handle, what)
            if short:
                return short
        w[NOW] = now
        w[EVENTS] += 1
        paused = False
        if what == SEND:
            if w[handle + KIND]:
                send_open_loop(w, d, handle, now)
            else:
                sender.send(w, d, handle, now)
            renew_link(w, w[handle + FIRST_LINK])
        elif what == ACK_ARRIVES:
            paused = acks.take_ack(w, d, handle, now)
        elif what == TIMEOUT:
            paused = acks.time_out(w, d, handle, now)
        elif what == INTERVAL_ENDS:
            paused = monitor.end(w, d, handle, now)
            sender.plan_send(w, d, handle, now)
        else:
            _link_event(w, d, handle, what, now)
            continue
        set_key(w, entity, next_event(w, handle))
        if paused and w[handle + PAUSE]:
            return PAUSED


@njit(cache=True)
def report_next(arena: Any, flow: int) -> bool:
    """Report the flow's next interval that is settled already; return whether there was one."""
    w = ints(arena.ctypes.data)
    if w[flow + ATTRIBUTION] == 0 or w[flow + STARTED] == 0:
        return False
    return monitor.report_settled(w, floats(w), flow, w[NOW])


@njit(cache=True)
def _link_event(w: Any, d: Any, link: int, what: int, now: int) -> None:
    if what == DEQUEUE:
        aqm.codel_dequeue(w, d, link, now)
    else:
        row = w[link + EXITS] + (w[link + EXITS_HEAD] & w[link + EXITS_MASK]) * QUEUED_WIDTH
        w[link + EXITS_HEAD] += 1
        flow = w[row + Q_FLOW]
        following = w[w[flow + NEXT_LINKS] + w[link + K_INDEX]]
        packet, size = w[row + Q_PACKET], w[row + Q_BYTES]
        enter(w, d, following, flow, packet, size, w[row + Q_WAIT], w[row + Q_SENT], now)
        renew_flow(w, flow)
        renew_link(w, following)
    renew_link(w, link)


@njit(cache=True, forceinline=True)
def _shortage(w: Any, handle: int, what: int) -> int:
    """Return which room the event might need and lacks, 0 if none; sets WANTED."""
    w[WANTED] = handle
    if w[TRACE_RING]:
        backlog = w[handle + QUEUE_TAIL] - w[handle + QUEUE_HEAD]
        if what >= ACK_ARRIVES:
            oldest = min(w[handle + SCAN], w[handle + ACK_PACKET])
            reports = w[handle + INTERVAL_ID] - w[handle + INTERVAL_OPEN]
            backlog = w[handle + NEXT_PACKET] - oldest + reports
        if w[TRACE_COUNT] + backlog + TRACE_MARGIN > w[TRACE_ROOM]:
            return GROW_TRACE
    if what == SEND:
        if w[handle + KIND] == 0 and sender.room_needed(w, handle) > w[handle + MASK] + 1:
            return GROW_PACKETS
        return _link_shortage(w, w[handle + FIRST_LINK])
    if what == DEQUEUE:
        return _link_shortage(w, handle)
    if what == HOP:
        row = w[handle + EXITS] + (w[handle + EXITS_HEAD] & w[handle + EXITS_MASK]) * QUEUED_WIDTH
        return _link_shortage(w, w[w[w[row + Q_FLOW] + NEXT_LINKS] + w[handle + K_INDEX]])
    return 0


@njit(cache=True, forceinline=True)
def _link_shortage(w: Any, link: int) -> int:
    if not w[link + UNIFORM] and w[link + QUEUE_TAIL] - w[link + QUEUE_HEAD] > w[link + QUEUE_MASK]:
        w[WANTED] = link
        return GROW_QUEUE
    if w[link + EXITS] and w[link + EXITS_TAIL] - w[link + EXITS_HEAD] > w[link + EXITS_MASK]:
        w[WANTED] = link
        return GROW_EXITS
    return 0
