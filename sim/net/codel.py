"""Controlled delay, step by step (RFC 8289, section 5).

The RFC's `deque` takes several packets from the queue in one go; here it is cut at each packet.
When a link is free at `now` and packets wait, whoever runs the queue does this:

    first = True
    while packets wait:
        take the oldest; behind = bytes that still wait then
        if not codel_step(row, first, now, now - its arrival, its bytes, behind, target, interval):
            serve it, and leave
        drop it; first = False
    codel_empty(row)

A packet that is served at once because nothing waits and the link is free passes the same loop,
with a sojourn time of 0. `codel_empty(row)` is also due when the link becomes free and nothing
waits (with opportunities: right after a departure that leaves nothing waiting).

The row is int64[len(ROW)], all 0 at first. MAXPACKET is the largest packet that the link has taken
from its queue so far. INTERVAL / sqrt(count) is truncated to ns.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

ROW = ("first_above_ns", "dropping", "drop_next_ns", "count", "last_count", "largest", "entering")
FIRST_ABOVE_NS, DROPPING, DROP_NEXT_NS, COUNT, LAST_COUNT, LARGEST, ENTERING = range(len(ROW))


@njit(cache=True)
def codel_step(
    row: Any,
    first: bool,
    now_ns: int,
    sojourn_ns: int,
    packet_bytes: int,
    behind_bytes: int,
    target_ns: int,
    interval_ns: int,
) -> bool:
    """Return whether to drop the packet just taken from the head.

    Args:
        row: int64[len(ROW)], changed.
        first: it is the first one that is taken at this instant; False after a drop.
        now_ns: the time.
        sojourn_ns: how long it waited.
        packet_bytes: its size.
        behind_bytes: what still waits.
        target_ns: TARGET.
        interval_ns: INTERVAL.
    """
    ok_to_drop = _judge(row, now_ns, sojourn_ns, packet_bytes, behind_bytes, target_ns, interval_ns)
    if row[ENTERING]:
        # The RFC serves the packet after the drop that begins dropping, whatever its sojourn.
        row[ENTERING] = 0
        return False
    if row[DROPPING]:
        return _go_on(row, first, ok_to_drop, now_ns, interval_ns)
    if ok_to_drop:
        _enter(row, now_ns, interval_ns)
    return ok_to_drop


@njit(cache=True)
def codel_empty(row: Any) -> None:
    """Note that the link is free and nothing waits."""
    row[FIRST_ABOVE_NS] = 0
    if not row[ENTERING]:
        row[DROPPING] = 0
    row[ENTERING] = 0


@njit(cache=True)
def control_law(from_ns: int, count: int, interval_ns: int) -> int:
    """Return when to drop next, ns: from_ns + INTERVAL / sqrt(count)."""
    return from_ns + int(interval_ns / math.sqrt(count))


@njit(cache=True)
def _judge(
    row: Any,
    now_ns: int,
    sojourn_ns: int,
    packet_bytes: int,
    behind_bytes: int,
    target_ns: int,
    interval_ns: int,
) -> bool:
    row[LARGEST] = max(row[LARGEST], packet_bytes)
    if sojourn_ns < target_ns or behind_bytes <= row[LARGEST]:
        row[FIRST_ABOVE_NS] = 0
        return False
    if row[FIRST_ABOVE_NS] == 0:
        row[FIRST_ABOVE_NS] = now_ns + interval_ns
        return False
    return now_ns >= row[FIRST_ABOVE_NS]


@njit(cache=True)
def _go_on(row: Any, first: bool, ok_to_drop: bool, now_ns: int, interval_ns: int) -> bool:
    if not ok_to_drop:
        row[DROPPING] = 0
        return False
    if not first:
        row[DROP_NEXT_NS] = control_law(row[DROP_NEXT_NS], row[COUNT], interval_ns)
    if now_ns < row[DROP_NEXT_NS]:
        return False
    row[COUNT] += 1
    return True


@njit(cache=True)
def _enter(row: Any, now_ns: int, interval_ns: int) -> None:
    grown = row[COUNT] - row[LAST_COUNT]
    recent = now_ns - row[DROP_NEXT_NS] < 16 * interval_ns
    row[COUNT] = grown if grown > 1 and recent else 1
    row[DROP_NEXT_NS] = control_law(now_ns, row[COUNT], interval_ns)
    row[LAST_COUNT] = row[COUNT]
    row[DROPPING] = 1
    row[ENTERING] = 1
