"""Service: when a packet leaves a link, and where it goes then.

A tail-drop FIFO decides a packet's departure at its arrival, so the link needs no events of its own
for it: the packet goes to the receiver, or to the queue of exits towards its next link, at once.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from sim.net import capacity
from sim.net.engine.accounts import count_dropped
from sim.net.engine.layout import (
    BUSY_UNTIL,
    CAPACITY_KIND,
    CODEL,
    CONSTANT,
    CURSOR,
    DELAY,
    DROPPED,
    EXITS,
    EXITS_MASK,
    EXITS_TAIL,
    HORIZON,
    JITTER,
    K_INDEX,
    K_LUCK,
    K_RATE,
    K_TOTALS,
    KIND,
    LAST_EXIT,
    NEXT_LINKS,
    P_ACK_AT,
    PERIOD,
    POINTS,
    Q_BYTES,
    Q_FLOW,
    Q_PACKET,
    Q_SENT,
    Q_TIME,
    Q_WAIT,
    QUEUE,
    QUEUE_KIND,
    QUEUE_MASK,
    QUEUE_TAIL,
    QUEUED_BYTES,
    QUEUED_WIDTH,
    RATES,
    STARTS_WIDTH,
    STEPPED,
    TIMES,
    TX_BYTES,
    TX_NS,
    UNIFORM,
)
from sim.net.engine.memory import bits, table
from sim.net.engine.receiver import deliver, slot
from sim.net.luck import uniform
from sim.net.result import BUSY_NS, L_DROPPED, L_WAIT_SUM_NS, SERVED, SERVED_BYTES

BY_LOSS, BY_RED, BY_QUEUE, BY_CODEL = range(4)
LOSS_LUCK, RED_LUCK, JITTER_LUCK = range(3)


@njit(cache=True)
def drop(w: Any, d: Any, link: int, flow: int, packet: int, cause: int, now: int) -> None:
    """Drop a packet at a link."""
    w[w[link + K_TOTALS] + L_DROPPED] += 1
    count_dropped(w, d, flow, packet, w[link + K_INDEX], cause, now)
    if not w[flow + KIND]:
        w[slot(w, flow, packet) + P_ACK_AT] = DROPPED


@njit(cache=True, forceinline=True)
def serve(
    w: Any,
    d: Any,
    link: int,
    flow: int,
    packet: int,
    size: int,
    wait: int,
    sent: int,
    arrived: int,
    now: int,
) -> None:
    """Serve a packet that arrived at `arrived`: find its departure and send it on its way."""
    start = max(w[link + BUSY_UNTIL], now)
    if w[link + CAPACITY_KIND] == CONSTANT:
        if size != w[link + TX_BYTES]:
            w[link + TX_BYTES] = size
            w[link + TX_NS] = capacity.constant_end(0, 8 * size, w[link + K_RATE])
        end = start + w[link + TX_NS]
    else:
        start, end = _varying(w, link, size, start, now)
    w[link + BUSY_UNTIL] = end
    if not w[link + UNIFORM] and w[link + QUEUE_KIND] != CODEL and start > now:
        row = w[link + QUEUE] + (w[link + QUEUE_TAIL] & w[link + QUEUE_MASK]) * STARTS_WIDTH
        w[row] = start
        w[row + 1] = size
        w[link + QUEUE_TAIL] += 1
        w[link + QUEUED_BYTES] += size
    waited = start - arrived
    if end <= w[HORIZON]:
        totals = w[link + K_TOTALS]
        w[totals + SERVED] += 1
        w[totals + SERVED_BYTES] += size
        w[totals + L_WAIT_SUM_NS] += waited
        w[totals + BUSY_NS] += end - start
    _leave(w, d, link, flow, packet, size, wait + waited, sent, end + w[link + DELAY])


@njit(cache=True)
def _varying(w: Any, link: int, size: int, start: int, now: int) -> tuple[int, int]:
    """Return start and end of a service at a capacity that changes."""
    times = table(w, w[link + TIMES], w[link + POINTS])
    if w[link + CAPACITY_KIND] == STEPPED:
        rates = table(w, w[link + RATES], w[link + POINTS])
        return start, capacity.stepped_end(start, 8 * size, times, rates, w[link + PERIOD])
    if w[link + QUEUE_KIND] == CODEL:  # it has waited for the opportunity at the cursor
        w[link + CURSOR] += 1
        return now, now
    at, cursor = capacity.next_opportunity(w[link + CURSOR], now, times, w[link + PERIOD])
    w[link + CURSOR] = cursor + 1
    end = max(at, w[link + BUSY_UNTIL] + 1)
    return end, end


@njit(cache=True, forceinline=True)
def _leave(
    w: Any, d: Any, link: int, flow: int, packet: int, size: int, wait: int, sent: int, time: int
) -> None:
    if w[link + JITTER]:
        u = uniform(bits(w), w[link + K_LUCK] + JITTER_LUCK)
        time += int(u * (w[link + JITTER] + 1))
        time = max(time, w[link + LAST_EXIT] + 1)
        w[link + LAST_EXIT] = time
    if w[w[flow + NEXT_LINKS] + w[link + K_INDEX]] == 0:
        deliver(w, d, flow, packet, size, wait, time)
        return
    row = w[link + EXITS] + (w[link + EXITS_TAIL] & w[link + EXITS_MASK]) * QUEUED_WIDTH
    w[link + EXITS_TAIL] += 1
    write_queued(w, row, time, flow, packet, size, wait, sent)


@njit(cache=True)
def write_queued(
    w: Any, row: int, time: int, flow: int, packet: int, size: int, wait: int, sent: int
) -> None:
    """Fill a row of a queue of packets."""
    w[row + Q_TIME] = time
    w[row + Q_FLOW] = flow
    w[row + Q_PACKET] = packet
    w[row + Q_BYTES] = size
    w[row + Q_WAIT] = wait
    w[row + Q_SENT] = sent
