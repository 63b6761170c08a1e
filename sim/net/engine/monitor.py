"""Monitor intervals: what a controller like PCC is told, attributed in either of two ways."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from policies.congestion.base import (
    I_ACK_SPAN_NS,
    I_ACKED,
    I_END_NS,
    I_FIRST_HALF_RTT_NS,
    I_ID,
    I_LEAST_RTT_NS,
    I_LOST,
    I_MEAN_RTT_NS,
    I_MIN_RTT_NS,
    I_NOW_NS,
    I_PACING_BPS,
    I_RTT_SLOPE,
    I_SECOND_HALF_RTT_NS,
    I_SEND_SPAN_NS,
    I_SENT,
    I_SRTT_NS,
    I_START_NS,
    INTERVAL_NS,
    INTERVAL_PACKETS,
    PACING_BPS,
)
from sim.net.engine.accounts import trace
from sim.net.engine.invoke import run_hook
from sim.net.engine.layout import (
    ACK_PACKET,
    ATTRIBUTION,
    HAS_RTT,
    INTERVAL_AT,
    INTERVAL_FIRST,
    INTERVAL_FIRST_SENT,
    INTERVAL_ID,
    INTERVAL_LAST_SENT,
    INTERVAL_LOST,
    INTERVAL_MIN,
    INTERVAL_NEED,
    INTERVAL_OPEN,
    INTERVAL_RATE,
    INTERVAL_ROW,
    INTERVAL_SENT,
    INTERVAL_START,
    INTERVAL_WIDTH,
    INTERVALS,
    MASK,
    MIN_RTT,
    NEVER,
    ON_INTERVAL,
    ON_START,
    P_ACK_AT,
    P_SENT,
    PAUSE,
    SRTT,
    START_ROW,
    STATE,
    V_END,
    V_FIRST,
    V_LAST,
    V_RATE,
    V_START,
    V_UNSETTLED,
)
from sim.net.engine.receiver import slot
from sim.net.result import T_INTERVAL

SHORTEST_NS = 1000
LONGEST_NS = 10.0**17


@njit(cache=True)
def begin(w: Any, d: Any, flow: int, now: int) -> None:
    """Begin the next interval: tell the controller, then settle when it may end."""
    w[flow + INTERVAL_START] = now
    w[flow + INTERVAL_SENT] = 0
    w[flow + INTERVAL_LOST] = 0
    if w[flow + ATTRIBUTION] == 0:
        w[flow + INTERVAL_FIRST] = w[flow + ACK_PACKET]
    if w[flow + ON_START]:
        row = w[START_ROW]
        d[row + I_NOW_NS] = d[row + I_START_NS] = now
        d[row + I_ID] = w[flow + INTERVAL_ID]
        _tell_rtt(w, d, flow, row)
        run_hook(w, d, flow, ON_START, row)
    state = w[flow + STATE]
    d[flow + INTERVAL_RATE] = d[state + PACING_BPS]
    duration = int(min(d[state + INTERVAL_NS], LONGEST_NS))
    w[flow + INTERVAL_MIN] = now + max(duration, SHORTEST_NS)
    need = int(min(d[state + INTERVAL_PACKETS], 1e15) + 0.999999999)
    if w[flow + ATTRIBUTION]:
        need = max(need, 1)
    w[flow + INTERVAL_NEED] = need
    w[flow + INTERVAL_AT] = NEVER if need > 0 else w[flow + INTERVAL_MIN]


@njit(cache=True)
def _tell_rtt(w: Any, d: Any, flow: int, row: int) -> None:
    known = w[flow + HAS_RTT]
    d[row + I_SRTT_NS] = d[flow + SRTT] if known else np.nan
    d[row + I_MIN_RTT_NS] = w[flow + MIN_RTT] if known else np.nan


@njit(cache=True)
def note_sent(w: Any, flow: int, now: int) -> None:
    """Count a packet that was sent in the running interval; its last awaited one ends it."""
    if w[flow + INTERVAL_SENT] == 0:
        w[flow + INTERVAL_FIRST_SENT] = now
    w[flow + INTERVAL_LAST_SENT] = now
    w[flow + INTERVAL_SENT] += 1
    if w[flow + INTERVAL_SENT] == w[flow + INTERVAL_NEED]:
        w[flow + INTERVAL_AT] = max(w[flow + INTERVAL_MIN], now)


@njit(cache=True)
def open_interval(w: Any, flow: int, number: int) -> int:
    """Return the handle of an interval that is not reported yet (attribution `sent`)."""
    return w[flow + INTERVALS] + (number & w[flow + MASK]) * INTERVAL_WIDTH


@njit(cache=True)
def note_sent_in(w: Any, d: Any, flow: int, packet: int) -> int:
    """Enter a packet into the account of the running interval; return the interval's number."""
    number = w[flow + INTERVAL_ID]
    row = open_interval(w, flow, number)
    if w[flow + INTERVAL_SENT] == 0:
        w[row + V_START] = w[flow + INTERVAL_START]
        w[row + V_END] = NEVER
        w[row + V_FIRST] = packet
        w[row + V_UNSETTLED] = 0
        d[row + V_RATE] = d[flow + INTERVAL_RATE]
    w[row + V_LAST] = packet
    w[row + V_UNSETTLED] += 1
    return number


@njit(cache=True)
def end(w: Any, d: Any, flow: int, now: int) -> bool:
    """End the running interval and begin the next; return whether one was reported."""
    if w[flow + ATTRIBUTION] == 0:
        _report_during(w, d, flow, now)
        w[flow + INTERVAL_ID] += 1
        reported = True
    else:
        w[open_interval(w, flow, w[flow + INTERVAL_ID]) + V_END] = now
        w[flow + INTERVAL_ID] += 1
        reported = report_settled(w, d, flow, now)
    begin(w, d, flow, now)
    return reported


@njit(cache=True)
def _report_during(w: Any, d: Any, flow: int, now: int) -> None:
    row = w[INTERVAL_ROW]
    d[row + I_ID] = w[flow + INTERVAL_ID]
    d[row + I_START_NS] = w[flow + INTERVAL_START]
    d[row + I_END_NS] = now
    d[row + I_SENT] = w[flow + INTERVAL_SENT]
    d[row + I_LOST] = w[flow + INTERVAL_LOST]
    d[row + I_PACING_BPS] = d[flow + INTERVAL_RATE]
    span = w[flow + INTERVAL_LAST_SENT] - w[flow + INTERVAL_FIRST_SENT]
    d[row + I_SEND_SPAN_NS] = span if w[flow + INTERVAL_SENT] > 1 else 0
    _describe(w, d, flow, row, w[flow + INTERVAL_FIRST], w[flow + ACK_PACKET])
    _tell(w, d, flow, row, now)


@njit(cache=True)
def report_settled(w: Any, d: Any, flow: int, now: int) -> bool:
    """Report, in order, ended intervals all of whose packets have met their fate."""
    reported = False
    while w[flow + INTERVAL_OPEN] < w[flow + INTERVAL_ID]:
        account = open_interval(w, flow, w[flow + INTERVAL_OPEN])
        if w[account + V_UNSETTLED] > 0:
            break
        row = w[INTERVAL_ROW]
        first, last = w[account + V_FIRST], w[account + V_LAST]
        d[row + I_ID] = w[flow + INTERVAL_OPEN]
        d[row + I_START_NS] = w[account + V_START]
        d[row + I_END_NS] = w[account + V_END]
        d[row + I_SENT] = last - first + 1
        d[row + I_PACING_BPS] = d[account + V_RATE]
        d[row + I_SEND_SPAN_NS] = w[slot(w, flow, last) + P_SENT] - w[slot(w, flow, first) + P_SENT]
        _describe(w, d, flow, row, first, min(last + 1, w[flow + ACK_PACKET]))
        d[row + I_LOST] = d[row + I_SENT] - d[row + I_ACKED]
        w[flow + INTERVAL_OPEN] += 1
        w[flow + INTERVAL_FIRST] = last + 1
        _tell(w, d, flow, row, now)
        reported = True
        if w[flow + PAUSE]:  # whoever steers the flow is shown one at a time
            break
    return reported


@njit(cache=True)
def _tell(w: Any, d: Any, flow: int, row: int, now: int) -> None:
    d[row + I_NOW_NS] = now
    _tell_rtt(w, d, flow, row)
    run_hook(w, d, flow, ON_INTERVAL, row)
    trace(w, d, now, T_INTERVAL, flow, int(d[row + I_ID]), int(d[row + I_ACKED]))


@njit(cache=True)
def _describe(w: Any, d: Any, flow: int, row: int, first: int, stop: int) -> None:
    """Fill in what the acknowledged packets from `first` to before `stop` tell."""
    samples = 0
    first_ack = last_ack = first_sent = 0
    least = NEVER
    total = 0
    for packet in range(first, stop):
        at = w[slot(w, flow, packet) + P_ACK_AT]
        if at >= 0:
            sent = w[slot(w, flow, packet) + P_SENT]
            if samples == 0:
                first_ack, first_sent = at, sent
            last_ack = at
            least = min(least, at - sent)
            total += at - sent
            samples += 1
    d[row + I_ACKED] = samples
    d[row + I_ACK_SPAN_NS] = last_ack - first_ack
    d[row + I_LEAST_RTT_NS] = least if samples else np.nan
    mean = total / samples if samples else np.nan
    d[row + I_MEAN_RTT_NS] = mean
    _halves_and_slope(w, d, flow, row, first, stop, samples, total, first_sent)


@njit(cache=True)
def _halves_and_slope(
    w: Any,
    d: Any,
    flow: int,
    row: int,
    first: int,
    stop: int,
    samples: int,
    total: int,
    origin: int,
) -> None:
    d[row + I_FIRST_HALF_RTT_NS] = np.nan
    d[row + I_SECOND_HALF_RTT_NS] = np.nan
    d[row + I_RTT_SLOPE] = 0.0
    if samples < 2:
        return
    half = samples // 2
    early, when, count = 0, 0, 0
    for packet in range(first, stop):
        ring = slot(w, flow, packet)
        if w[ring + P_ACK_AT] >= 0:
            if count < half:
                early += w[ring + P_ACK_AT] - w[ring + P_SENT]
            when += w[ring + P_SENT] - origin
            count += 1
    d[row + I_FIRST_HALF_RTT_NS] = early / half
    d[row + I_SECOND_HALF_RTT_NS] = (total - early) / (samples - half)
    mean_x, mean_y = when / samples, total / samples
    xy = xx = 0.0
    for packet in range(first, stop):
        ring = slot(w, flow, packet)
        if w[ring + P_ACK_AT] >= 0:
            x = (w[ring + P_SENT] - origin) - mean_x
            xy += x * ((w[ring + P_ACK_AT] - w[ring + P_SENT]) - mean_y)
            xx += x * x
    d[row + I_RTT_SLOPE] = xy / xx if xx > 0.0 else 0.0
