"""Arrivals: what a packet meets when it enters a link, in the order of docs/network-model.md."""

from __future__ import annotations

from typing import Any

from numba import njit

from sim.net.engine.aqm import codel_admits, red_drops
from sim.net.engine.layout import (
    BAD,
    BERNOULLI,
    BUSY_UNTIL,
    CODEL,
    K_LUCK,
    K_TOTALS,
    LIMIT,
    LOSS_A,
    LOSS_B,
    LOSS_BAD,
    LOSS_GOOD,
    LOSS_KIND,
    NO_LOSS,
    QUEUE,
    QUEUE_HEAD,
    QUEUE_KIND,
    QUEUE_MASK,
    QUEUE_TAIL,
    QUEUED_BYTES,
    RED,
    STARTS_WIDTH,
    TAIL_BYTES,
    TX_NS,
    UNIFORM,
)
from sim.net.engine.memory import bits
from sim.net.engine.service import BY_LOSS, BY_QUEUE, BY_RED, LOSS_LUCK, drop, serve
from sim.net.luck import uniform
from sim.net.result import ARRIVED


@njit(cache=True, forceinline=True)
def enter(
    w: Any, d: Any, link: int, flow: int, packet: int, size: int, wait: int, sent: int, now: int
) -> None:
    """A packet arrives at a link: it is dropped, queued or served."""
    w[w[link + K_TOTALS] + ARRIVED] += 1
    if w[link + LOSS_KIND] != NO_LOSS and _lost(w, d, link):
        drop(w, d, link, flow, packet, BY_LOSS, now)
        return
    if w[link + UNIFORM]:
        if w[link + BUSY_UNTIL] - now > w[link + LIMIT] * w[link + TX_NS]:
            drop(w, d, link, flow, packet, BY_QUEUE, now)
            return
    elif not _admit(w, d, link, flow, packet, size, wait, sent, now):
        return
    serve(w, d, link, flow, packet, size, wait, sent, now, now)


@njit(cache=True)
def _lost(w: Any, d: Any, link: int) -> bool:
    luck = bits(w)
    place = w[link + K_LUCK] + LOSS_LUCK
    u = uniform(luck, place)
    if w[link + LOSS_KIND] == BERNOULLI:
        return u < d[link + LOSS_A]
    if w[link + BAD]:
        w[link + BAD] = 0 if u < d[link + LOSS_B] else 1
    else:
        w[link + BAD] = 1 if u < d[link + LOSS_A] else 0
    loss = d[link + LOSS_BAD] if w[link + BAD] else d[link + LOSS_GOOD]
    return uniform(luck, place) < loss


@njit(cache=True)
def _admit(
    w: Any, d: Any, link: int, flow: int, packet: int, size: int, wait: int, sent: int, now: int
) -> bool:
    """Return whether the packet is to be served now; queue or drop it otherwise."""
    kind = w[link + QUEUE_KIND]
    if kind != CODEL:
        _forget_started(w, link, now)
    waiting = w[link + QUEUE_TAIL] - w[link + QUEUE_HEAD]
    idle = w[link + BUSY_UNTIL] <= now and waiting == 0
    if kind == RED and red_drops(w, d, link, waiting, size, idle, now):
        drop(w, d, link, flow, packet, BY_RED, now)
        return False
    used = w[link + QUEUED_BYTES] + size - 1 if kind == TAIL_BYTES else waiting
    if not idle and used >= w[link + LIMIT]:
        drop(w, d, link, flow, packet, BY_QUEUE, now)
        return False
    if kind == CODEL:
        codel_admits(w, d, link, flow, packet, size, wait, sent, now)
        return False
    return True


@njit(cache=True)
def _forget_started(w: Any, link: int, now: int) -> None:
    head = w[link + QUEUE_HEAD]
    while head < w[link + QUEUE_TAIL]:
        row = w[link + QUEUE] + (head & w[link + QUEUE_MASK]) * STARTS_WIDTH
        if w[row] > now:
            break
        w[link + QUEUED_BYTES] -= w[row + 1]
        head += 1
    w[link + QUEUE_HEAD] = head
