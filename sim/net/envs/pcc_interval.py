"""Monitor intervals on one link, until the next one's account is complete: both attributions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from policies.congestion.base import (
    I_ACKED,
    I_END_NS,
    I_ID,
    I_LOST,
    I_NOW_NS,
    I_PACING_BPS,
    I_SEND_SPAN_NS,
    I_SENT,
    I_START_NS,
)
from sim.net.envs.pcc_account import count, describe
from sim.net.envs.pcc_link import MIN_RTO_NS, deadline, expire, hear_until, make_way, send_until

FIELDS = [
    *[("now", np.int64), ("planned", np.float64)],  # planned: duration of the next interval, ns
    *[(name, np.int64) for name in ("open", "start", "least_end", "first", "number")],
    *[("pace", np.float64), ("heard_before", np.int64), ("lost_before", np.int64)],
    *[("oldest", np.int64)],  # first packet of the oldest interval that is not reported
]
SHORTEST_NS = 1000
NEVER = 2**62


@njit(cache=True)
def _begin(link: Any) -> None:
    link.open, link.start, link.first, link.pace = 1, link.now, link.tail, link.rate
    link.least_end = link.now + max(int(link.planned), SHORTEST_NS)
    link.heard_before, link.lost_before = link.next_heard, link.lost


@njit(cache=True)
def _fill(link: Any, row: Any, start: int, end: int, pace: float, count: int) -> None:
    row[I_NOW_NS], row[I_ID], row[I_PACING_BPS] = link.now, link.number, pace
    row[I_START_NS], row[I_END_NS], row[I_SENT] = start, end, count
    link.number += 1


@njit(cache=True)
def run_during(link: Any, columns: Any, known: Any, row: Any) -> bool:
    """Run one interval, attribution DURING, and fill `row`; False: make room, invoke it again."""
    sent, heard = columns[0], columns[1]
    if not link.open:
        make_way(link, sent, heard, min(link.settled, link.next_heard))
        _begin(link)
    awaited = link.first + known.interval_packets
    if not send_until(link, sent, heard, link.least_end, awaited):
        return False
    end = link.least_end
    if known.interval_packets > 0:
        end = max(end, sent[awaited - 1])
    tally = hear_until(link, sent, heard, end)
    if not link.timer_on or end - link.timer_set >= MIN_RTO_NS:
        expire(link, sent, heard, end + 1)
    link.now, link.open = end, 0
    _fill(link, row, link.start, end, link.pace, link.tail - link.first)
    row[I_SEND_SPAN_NS] = sent[link.tail - 1] - sent[link.first] if link.tail > link.first else 0
    row[I_LOST] = link.lost - link.lost_before
    describe(link, sent, heard, link.heard_before, link.next_heard, tally, known, row)
    return True


@njit(cache=True)
def _settled(link: Any, heard: Any, stop: int) -> bool:
    """Return whether every packet before `stop` was acknowledged or declared lost."""
    if max(link.next_heard, link.given) < stop:
        return False
    for place in range(max(link.settled, link.oldest), stop):
        if heard[place] == 0:
            return False
    return True


@njit(cache=True)
def _report_sent(link: Any, columns: Any, known: Any, row: Any) -> bool:
    """Report the oldest interval if it has ended and all its packets have met their fate."""
    sent, heard, starts, ends, counts, paces = columns
    first = link.oldest
    if (first == link.first and link.open) or first == link.tail:
        return False
    stop = first + counts[first]
    if not _settled(link, heard, stop):
        return False
    _fill(link, row, starts[first], ends[first], paces[first], counts[first])
    row[I_SEND_SPAN_NS] = sent[stop - 1] - sent[first]
    known_until = min(stop, link.next_heard)
    tally = count(sent, heard, first, known_until)
    describe(link, sent, heard, first, known_until, tally, known, row)
    row[I_LOST] = row[I_SENT] - row[I_ACKED]
    link.oldest = stop
    return True


@njit(cache=True)
def _make_way_sent(link: Any, columns: Any) -> None:
    sent, heard, starts, ends, counts, paces = columns
    place, tail = link.oldest, link.tail
    moved = make_way(link, sent, heard, min(link.settled, link.next_heard, link.oldest))
    link.oldest -= moved
    while moved and place < tail:
        to, count = place - moved, counts[place]
        starts[to], ends[to], counts[to], paces[to] = (
            starts[place],
            ends[place],
            count,
            paces[place],
        )
        place += count


@njit(cache=True)
def _end_sent(link: Any, columns: Any, end: int) -> None:
    _, _, starts, ends, counts, paces = columns
    first = link.first
    starts[first], ends[first], paces[first] = link.start, end, link.pace
    counts[first] = link.tail - first
    link.now, link.open = end, 0


@njit(cache=True)
def run_sent(link: Any, columns: Any, known: Any, row: Any) -> bool:
    """Run until the next report, attribution SENT, and fill `row`; False: make room, come again.

    The rate may change at any ACK here, so events are taken one by one, in the order of their
    classes: ACK, time-out, end of an interval, sending.
    """
    sent, heard = columns[0], columns[1]
    awaited = max(known.interval_packets, 1)
    while True:
        if _report_sent(link, columns, known, row):
            return True
        if not link.open:
            _make_way_sent(link, columns)
            _begin(link)
        while link.next_heard < link.tail and heard[link.next_heard] == 0:
            link.next_heard += 1
        ack = abs(heard[link.next_heard]) if link.next_heard < link.tail else NEVER
        end = NEVER
        if link.tail - link.first >= awaited:
            end = max(link.least_end, sent[link.first + awaited - 1])
        soonest = min(ack, end, link.next_send)
        if link.timer_on and soonest - link.timer_set >= MIN_RTO_NS:
            at = deadline(link)
            if at < ack and at <= min(end, link.next_send):
                link.now = at
                expire(link, sent, heard, at + 1)
                continue
        if ack == soonest:
            link.now = ack
            hear_until(link, sent, heard, ack)
        elif end == soonest:
            _end_sent(link, columns, end)
        else:
            if link.tail >= link.room:
                return False
            link.now = link.next_send
            send_until(link, sent, heard, link.now, link.tail + 1)
            if not link.timer_on:
                link.timer_on, link.timer_set = 1, link.now
