"""Totals, histograms, series and the trace."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from policies.congestion.base import CWND, PACING_BPS
from sim.net.engine.layout import (
    BIN_NS,
    BINS,
    FUTURE,
    HORIZON,
    INDEX,
    KIND,
    MEASURE_FROM,
    PAYLOAD,
    SERIES_AT,
    SERIES_WIDTH,
    STATE,
    TOTALS_AT,
    TRACE_COUNT,
    TRACE_RING,
    TRACE_WIDTH,
    WAITS_AT,
)
from sim.net.result import (
    ALL_DELIVERED,
    ALL_DROPPED,
    ALL_SENT,
    DELIVERED,
    DELIVERED_BYTES,
    DROPPED_LOSS,
    PAYLOAD_BYTES,
    S_DELIVERED,
    S_DROPPED,
    S_PAYLOAD_BYTES,
    S_SENT,
    S_WAIT_SUM_NS,
    SENT,
    T_DELIVER,
    T_DROP,
    T_SEND,
    WAIT_BINS,
    WAIT_MAX_NS,
    WAIT_SUM_NS,
)


@njit(cache=True, forceinline=True)
def wait_bin(wait_ns: int) -> int:
    """Return the bin of `sim.net.result.wait_bin_edges` that holds a queueing delay."""
    if wait_ns < 64:
        return wait_ns
    bits: Any = np.float64(wait_ns).view(np.int64)
    return min((bits >> 47) - ((1023 + 6) << 5) + 64, WAIT_BINS - 1)


@njit(cache=True)
def trace(w: Any, d: Any, now: int, kind: int, flow: int, number: int, value: int) -> None:
    """Append a record to the trace, if there is one."""
    if w[TRACE_RING] == 0:
        return
    row = w[TRACE_RING] + w[TRACE_COUNT] * TRACE_WIDTH
    w[TRACE_COUNT] += 1
    w[row] = now
    w[row + 1] = kind
    w[row + 2] = w[flow + INDEX]
    w[row + 3] = number
    w[row + 4] = value
    if kind > T_DELIVER:
        d[row + 5] = d[w[flow + STATE] + CWND]
        d[row + 6] = d[w[flow + STATE] + PACING_BPS]
    else:
        w[row + 5] = w[row + 6] = 0


@njit(cache=True)
def series_row(w: Any, flow: int, time: int) -> int:
    """Return the handle of the flow's bin at a time <= the horizon."""
    return w[flow + SERIES_AT] + min(time // w[BIN_NS], w[BINS] - 1) * SERIES_WIDTH


@njit(cache=True, forceinline=True)
def count_sent(w: Any, d: Any, flow: int, packet: int, inflight: int, now: int) -> None:
    """Note that a packet was sent."""
    totals = w[flow + TOTALS_AT]
    w[totals + ALL_SENT] += 1
    if now >= w[MEASURE_FROM]:
        w[totals + SENT] += 1
    if w[BIN_NS]:
        w[series_row(w, flow, now) + S_SENT] += 1
    trace(w, d, now, T_SEND, flow, packet, inflight)


@njit(cache=True)
def count_dropped(w: Any, d: Any, flow: int, packet: int, link: int, cause: int, now: int) -> None:
    """Note that a packet was dropped; `link` is an index, `cause` one of `CAUSES`."""
    totals = w[flow + TOTALS_AT]
    w[totals + ALL_DROPPED] += 1
    if now >= w[MEASURE_FROM]:
        w[totals + DROPPED_LOSS + cause] += 1
    if w[BIN_NS]:
        w[series_row(w, flow, now) + S_DROPPED] += 1
    trace(w, d, now, T_DROP, flow, packet, 8 * link + cause)


@njit(cache=True, forceinline=True)
def count_delivered(
    w: Any, d: Any, flow: int, packet: int, size: int, wait: int, time: int
) -> None:
    """Note that a packet reaches its receiver at `time`, which may lie ahead."""
    if time > w[HORIZON]:
        w[flow + FUTURE] += 1
        return
    payload = size if w[flow + KIND] else w[flow + PAYLOAD]
    totals = w[flow + TOTALS_AT]
    w[totals + ALL_DELIVERED] += 1
    if time >= w[MEASURE_FROM]:
        w[totals + DELIVERED] += 1
        w[totals + DELIVERED_BYTES] += size
        w[totals + PAYLOAD_BYTES] += payload
        w[totals + WAIT_SUM_NS] += wait
        w[totals + WAIT_MAX_NS] = max(w[totals + WAIT_MAX_NS], wait)
        w[w[flow + WAITS_AT] + wait_bin(wait)] += 1
    if w[BIN_NS]:
        row = series_row(w, flow, time)
        w[row + S_DELIVERED] += 1
        w[row + S_PAYLOAD_BYTES] += payload
        w[row + S_WAIT_SUM_NS] += wait
    trace(w, d, time, T_DELIVER, flow, packet, wait)
