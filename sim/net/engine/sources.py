"""Open-loop sources; what they draw, and in which order, is in `sim/net/source_draws.py`."""

from __future__ import annotations

from typing import Any

from numba import njit

from sim.net import source_draws as draws
from sim.net.engine.accounts import count_sent
from sim.net.engine.arrival import enter
from sim.net.engine.layout import (
    FIRST_LINK,
    GAPS_LUCK,
    LUCK,
    MEAN_GAP,
    NEVER,
    NEXT_PACKET,
    NEXT_SEND,
    OFF_NS,
    ON_NS,
    PATTERN,
    PATTERN_ONOFF,
    PATTERN_POISSON,
    PERIOD_END,
    PERIODS_LUCK,
    RATE,
    SHARES,
    SIZE_COUNT,
    SIZE_HIGH,
    SIZE_KIND,
    SIZE_LOW,
    SIZE_MEAN,
    SIZES,
    SIZES_LUCK,
    STARTED,
    STOP,
)
from sim.net.engine.memory import bits, table
from sim.net.luck import uniform


@njit(cache=True)
def send_open_loop(w: Any, d: Any, flow: int, now: int) -> None:
    """Send the source's next packet, or, at its start, settle when the first one goes."""
    if w[flow + STARTED] == 0:
        w[flow + STARTED] = 1
        if w[flow + PATTERN] == PATTERN_POISSON:
            _plan(w, flow, now + _gap(w, d, flow, 0))
            return
        if w[flow + PATTERN] == PATTERN_ONOFF:
            w[flow + PERIOD_END] = now + _period(w, flow, w[flow + ON_NS])
    size = _size(w, d, flow)
    packet = w[flow + NEXT_PACKET]
    w[flow + NEXT_PACKET] += 1
    count_sent(w, d, flow, packet, 0, now)
    enter(w, d, w[flow + FIRST_LINK], flow, packet, size, 0, now, now)
    _plan(w, flow, now + _gap(w, d, flow, size))


@njit(cache=True)
def _plan(w: Any, flow: int, time: int) -> None:
    if w[flow + PATTERN] == PATTERN_ONOFF and time >= w[flow + PERIOD_END]:
        time = w[flow + PERIOD_END] + _period(w, flow, w[flow + OFF_NS])
        w[flow + PERIOD_END] = time + _period(w, flow, w[flow + ON_NS])
    w[flow + NEXT_SEND] = time if time < w[flow + STOP] else NEVER


@njit(cache=True)
def _gap(w: Any, d: Any, flow: int, size: int) -> int:
    if w[flow + PATTERN] == PATTERN_POISSON:
        u = uniform(bits(w), w[flow + LUCK] + GAPS_LUCK)
        return draws.whole_ns(draws.exponential(u, d[flow + MEAN_GAP]))
    return draws.spacing(8 * size, d[flow + RATE])


@njit(cache=True)
def _period(w: Any, flow: int, mean_ns: int) -> int:
    u = uniform(bits(w), w[flow + LUCK] + PERIODS_LUCK)
    return draws.whole_ns(draws.exponential(u, float(mean_ns)))


@njit(cache=True)
def _size(w: Any, d: Any, flow: int) -> int:
    u = 0.0
    if w[flow + SIZE_KIND] != draws.FIXED:
        u = uniform(bits(w), w[flow + LUCK] + SIZES_LUCK)
    count = w[flow + SIZE_COUNT]
    return draws.packet_bytes(
        w[flow + SIZE_KIND],
        u,
        d[flow + SIZE_MEAN],
        w[flow + SIZE_LOW],
        w[flow + SIZE_HIGH],
        table(w, w[flow + SIZES], count),
        table(d, w[flow + SHARES], count),
    )
