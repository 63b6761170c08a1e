"""One flow on one FIFO, event by event, for controllers that act once per monitor interval.

Independent of the engines: hooks are called directly, intervals count the packets sent in them.
"""

from __future__ import annotations

import heapq
import math
from typing import Any

import numpy as np

from policies.congestion import base as b

BITS = 8 * 1500.0


def flow_row(start_bps: float = math.nan) -> Any:
    return np.array([1500.0, 1448.0, 10.0, 0.0, start_bps, math.nan, math.nan])


def start(controller: Any, start_bps: float = math.nan, **parameters: float) -> tuple[Any, Any]:
    """Return the state after `init`, and the constants."""
    state = np.zeros(len(controller.state))
    state[b.SEED] = 7.0
    constants = controller.constants(parameters)
    controller.init(state, flow_row(start_bps), constants)
    return state, constants


def interval(**columns: float) -> Any:
    """Return an interval row: zero, RTTs NaN, but for the columns given."""
    row = np.zeros(len(b.INTERVAL))
    for name in b.INTERVAL:
        if "rtt" in name and name != "rtt_slope":
            row[b.INTERVAL.index(name)] = math.nan
    for name, value in columns.items():
        row[b.INTERVAL.index(name)] = value
    return row


def account(number: int, began: int, ended: int, pacing: float, packets: list[Any]) -> Any:
    """Return the row of an interval from its (sent at, RTT or None if lost) packets."""
    sent = np.array([float(p[0]) for p in packets])
    acked = [(s, r) for s, r in packets if r is not None]
    row = interval(
        id=number,
        start_ns=began,
        end_ns=ended,
        sent=len(packets),
        acked=len(acked),
        lost=len(packets) - len(acked),
        send_span_ns=sent[-1] - sent[0],
        pacing_bps=pacing,
    )
    if acked:
        rtts = np.array([float(r) for _, r in acked])
        row[b.I_MEAN_RTT_NS] = rtts.mean()
        row[b.I_LEAST_RTT_NS] = rtts.min()
        half = len(rtts) // 2
        if half:
            row[b.I_FIRST_HALF_RTT_NS] = rtts[:half].mean()
            row[b.I_SECOND_HALF_RTT_NS] = rtts[half:].mean()
            x = np.array([float(s) for s, _ in acked])
            row[b.I_RTT_SLOPE] = np.polyfit(x - x[0], rtts, 1)[0]
    return row


def run(
    controller: Any,
    capacity_bps: float,
    base_rtt_ns: int,
    queue: int,
    seconds: float,
    start_bps: float = math.nan,
) -> tuple[list[tuple[float, float]], int]:
    """Return (time in s, pacing rate) at each interval, and the packets lost."""
    state, constants = start(controller, start_bps)
    service = int(BITS * 1e9 / capacity_bps)
    free_at, srtt, lost, number = 0, math.nan, 0, 0
    events: list[tuple[int, int, int, Any]] = []
    open_: dict[int, dict[str, Any]] = {}
    rates = []
    now, next_send = 0, 0

    def begin() -> dict[str, Any]:
        row = interval(now_ns=now, id=number, start_ns=now, srtt_ns=srtt)
        controller.on_interval_start(state, row, constants)
        rates.append((now / 1e9, float(state[b.PACING_BPS])))
        end = now + int(state[b.INTERVAL_NS])
        need = max(1.0, state[b.INTERVAL_PACKETS])
        fresh = {"began": now, "end": end, "need": need, "packets": [], "left": 0, "over": False}
        fresh["pacing"] = float(state[b.PACING_BPS])
        open_[number] = fresh
        return fresh

    current = begin()
    oldest = 0
    while now < seconds * 1e9:
        if events and events[0][0] <= next_send:
            now, _, mine, (sent_at, rtt) = heapq.heappop(events)
            entry = open_[mine]
            entry["packets"].append((sent_at, rtt))
            entry["left"] -= 1
            if rtt is not None:
                srtt = rtt if math.isnan(srtt) else 0.875 * srtt + 0.125 * rtt
            else:
                lost += 1
        else:
            now = next_send
            if now >= current["end"] and current["sent"] >= current["need"]:
                current["over"] = True
                number += 1
                current = begin()
            wait = max(0, free_at - now)
            dropped = wait > queue * service
            free_at = free_at if dropped else max(free_at, now) + service
            rtt = wait + service + base_rtt_ns
            heapq.heappush(events, (now + rtt, number, number, (now, None if dropped else rtt)))
            current["left"] += 1
            current["sent"] = current.get("sent", 0) + 1
            next_send = now + int(BITS * 1e9 / state[b.PACING_BPS])
        while open_[oldest]["over"] and open_[oldest]["left"] == 0:
            entry = open_.pop(oldest)
            row = account(
                oldest,
                entry["began"],
                now,
                entry["pacing"],
                sorted(entry["packets"], key=lambda p: p[0]),
            )
            row[b.I_SRTT_NS] = srtt
            controller.on_interval(state, row, constants)
            oldest += 1
    return rates, lost


def late_mean(rates: list[tuple[float, float]], since: float) -> float:
    """Return the mean over time of the pacing rate from `since` (s) on, bits/s."""
    late = [(t, r) for t, r in rates if t >= since]
    times = np.array([t for t, _ in late])
    values = np.array([r for _, r in late])
    return float((values[:-1] * np.diff(times)).sum() / (times[-1] - times[0]))
