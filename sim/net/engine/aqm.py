"""Active queue management at a link: RED at arrival, CoDel at the head of the queue."""

from __future__ import annotations

from typing import Any

from numba import njit

from sim.net import capacity
from sim.net.codel import ROW, codel_empty, codel_step
from sim.net.engine.agenda import renew_flow
from sim.net.engine.layout import (
    AQM,
    AQM_COUNT,
    AQM_INTERVAL,
    AQM_TARGET,
    BUSY_UNTIL,
    CAPACITY_KIND,
    CONSTANT,
    CURSOR,
    K_LUCK,
    K_RATE,
    NEVER,
    NEXT_DEQUEUE,
    OPPORTUNITIES,
    PERIOD,
    POINTS,
    Q_BYTES,
    Q_FLOW,
    Q_PACKET,
    Q_SENT,
    Q_TIME,
    Q_WAIT,
    QUEUE,
    QUEUE_HEAD,
    QUEUE_MASK,
    QUEUE_TAIL,
    QUEUED_BYTES,
    QUEUED_WIDTH,
    RATES,
    STEPPED,
    TIMES,
)
from sim.net.engine.memory import bits, table
from sim.net.engine.service import BY_CODEL, RED_LUCK, drop, serve, write_queued
from sim.net.luck import uniform
from sim.net.red import red_drop, red_in_doubt, red_update


@njit(cache=True)
def red_drops(w: Any, d: Any, link: int, waiting: int, size: int, idle: bool, now: int) -> bool:
    """Return whether RED drops the packet that arrives."""
    row = w[link + AQM]
    idle_ns = -1
    if idle:
        idle_ns = now - w[link + BUSY_UNTIL] if w[link + BUSY_UNTIL] >= 0 else 0
    tx_ns = _service_ns(w, link, size, now) if idle else 1
    average = red_update(d[row], waiting, idle_ns, tx_ns, d[row + 1])
    d[row] = average
    low, high = d[row + 2], d[row + 3]
    u = 0.0
    if red_in_doubt(average, low, high):
        u = uniform(bits(w), w[link + K_LUCK] + RED_LUCK)
    dropped, count = red_drop(average, w[link + AQM_COUNT], low, high, d[row + 4], u)
    w[link + AQM_COUNT] = count
    return dropped


@njit(cache=True)
def _service_ns(w: Any, link: int, size: int, now: int) -> int:
    """Return how long serving a packet would take if it began now, ns."""
    if w[link + CAPACITY_KIND] == CONSTANT:
        return capacity.constant_end(0, 8 * size, w[link + K_RATE])
    if w[link + CAPACITY_KIND] == STEPPED:
        times = table(w, w[link + TIMES], w[link + POINTS])
        rates = table(w, w[link + RATES], w[link + POINTS])
        return capacity.stepped_end(now, 8 * size, times, rates, w[link + PERIOD]) - now
    return max(1, w[link + PERIOD] // w[link + POINTS])


@njit(cache=True)
def codel_admits(
    w: Any, d: Any, link: int, flow: int, packet: int, size: int, wait: int, sent: int, now: int
) -> None:
    """Put a packet into a CoDel queue; serve it at once if the link is free and nothing waits."""
    row = w[link + QUEUE] + (w[link + QUEUE_TAIL] & w[link + QUEUE_MASK]) * QUEUED_WIDTH
    write_queued(w, row, now, flow, packet, size, wait, sent)
    w[link + QUEUE_TAIL] += 1
    w[link + QUEUED_BYTES] += size
    if w[link + NEXT_DEQUEUE] != NEVER:
        return
    if w[link + CAPACITY_KIND] == OPPORTUNITIES:
        w[link + NEXT_DEQUEUE] = _next_opportunity(w, link, now)
    else:
        codel_dequeue(w, d, link, now)


@njit(cache=True)
def _next_opportunity(w: Any, link: int, arrived: int) -> int:
    """Turn the cursor to the opportunity that the head of the queue will use; return its time."""
    times = table(w, w[link + TIMES], w[link + POINTS])
    time, w[link + CURSOR] = capacity.next_opportunity(
        w[link + CURSOR], arrived, times, w[link + PERIOD]
    )
    return max(time, w[link + BUSY_UNTIL] + 1)


@njit(cache=True)
def codel_dequeue(w: Any, d: Any, link: int, now: int) -> None:
    """The link is free: drop from the head as CoDel says, then serve one packet if any is left."""
    state = table(w, w[link + AQM], len(ROW))
    first = True
    while w[link + QUEUE_HEAD] < w[link + QUEUE_TAIL]:
        row = w[link + QUEUE] + (w[link + QUEUE_HEAD] & w[link + QUEUE_MASK]) * QUEUED_WIDTH
        flow, packet, size, arrived = (
            w[row + Q_FLOW],
            w[row + Q_PACKET],
            w[row + Q_BYTES],
            w[row + Q_TIME],
        )
        w[link + QUEUE_HEAD] += 1
        w[link + QUEUED_BYTES] -= size
        target, interval = w[link + AQM_TARGET], w[link + AQM_INTERVAL]
        behind = w[link + QUEUED_BYTES]
        if not codel_step(state, first, now, now - arrived, size, behind, target, interval):
            wait, sent = w[row + Q_WAIT], w[row + Q_SENT]
            serve(w, d, link, flow, packet, size, wait, sent, arrived, now)
            renew_flow(w, flow)
            _plan(w, link, state)
            return
        drop(w, d, link, flow, packet, BY_CODEL, now)
        renew_flow(w, flow)
        first = False
    codel_empty(state)
    w[link + NEXT_DEQUEUE] = NEVER


@njit(cache=True)
def _plan(w: Any, link: int, state: Any) -> None:
    """Settle when the link looks at its queue again, a packet having just been served."""
    if w[link + CAPACITY_KIND] != OPPORTUNITIES:
        w[link + NEXT_DEQUEUE] = w[link + BUSY_UNTIL]
    elif w[link + QUEUE_HEAD] < w[link + QUEUE_TAIL]:
        row = w[link + QUEUE] + (w[link + QUEUE_HEAD] & w[link + QUEUE_MASK]) * QUEUED_WIDTH
        w[link + NEXT_DEQUEUE] = _next_opportunity(w, link, w[row + Q_TIME])
    else:
        codel_empty(state)
        w[link + NEXT_DEQUEUE] = NEVER
