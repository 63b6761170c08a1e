"""What the run kind `congestion-link` measures, over the time after the warm-up."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.kinds.congestion_config import CongestionConfig
from sim.net import measures
from sim.net.links import Opportunities, Stepped
from sim.net.result import (
    ACKS,
    DELIVERED,
    DROPPED_CODEL,
    DROPPED_LOSS,
    RTT_SUM_NS,
    S_DELIVERED,
    S_DROPPED,
    S_SENT,
    S_WAIT_SUM_NS,
    SENT,
    TIMEOUTS,
    WAIT_SUM_NS,
    Result,
    wait_bin_edges,
)

SECOND = 1e9
MS = 1e6
TAIL = 0.95
JAIN_BIN_S = 1.0
FINAL_SHARE = 0.25
"""The last quarter of a flow's time makes its final mean."""


def metrics(config: CongestionConfig, result: Result) -> dict[str, Any]:
    """Return the metrics of one run; None where one has no meaning in it."""
    own = config.flows
    goodput = result.goodput_bps()
    offered = capacity_bps(result)
    achievable = offered * payload_share(config)
    fair = achievable / len(goodput)
    totals = result.totals.sum(axis=0)
    sent = int(totals[SENT])
    random_loss = int(totals[DROPPED_LOSS])
    dropped = int(totals[DROPPED_LOSS : DROPPED_CODEL + 1].sum())
    others = goodput[own:]
    return {
        "utilisation": _share(goodput.sum(), offered),
        "policy_utilisation": _share(goodput[:own].sum(), offered),
        "goodput_mbps": float(goodput.sum() / 1e6),
        "queue_delay_ms": _part(totals[WAIT_SUM_NS] / MS, totals[DELIVERED]),
        "queue_delay_p95_ms": wait_quantile_ms(result, TAIL),
        "mean_rtt_ms": _part(totals[RTT_SUM_NS] / MS, totals[ACKS]),
        "loss": _part(dropped, sent),
        "queue_loss": _part(dropped - random_loss, sent),
        "timeouts": int(totals[TIMEOUTS]),
        "jain": jain_over_time(config, result),
        "convergence_s": convergence_s(config, result),
        "least_share": _share(goodput[:own].min(), fair),
        "competitor_share": _share(others.mean(), fair) if len(others) else None,
        "rise_s": rise_s(config, result),
        "sent_packets": sent,
    }


def capacity_bps(result: Result) -> float:
    """Return the bottleneck's mean capacity over the measured time, bits/s."""
    scenario = result.scenario
    window = (scenario.measure_from_ns, scenario.duration_ns)
    size = _packet_bytes(result)
    return measures.capacity_bits(scenario.links[0].capacity, *window, size) / result.measured_s


def payload_share(config: CongestionConfig) -> float:
    """Return the share of a packet that is payload: the ceiling of utilisation."""
    return 1.0 - config.header_bytes / config.packet_bytes


def wait_quantile_ms(result: Result, q: float) -> float | None:
    """Return the quantile of the queueing delay over the delivered packets of all flows, ms."""
    histogram = result.waits.sum(axis=0)
    total = int(histogram.sum())
    if not total:
        return None
    edges = wait_bin_edges()
    place = min(int(np.searchsorted(np.cumsum(histogram), q * total)), len(histogram) - 1)
    return float(0.5 * (edges[place] + max(edges[place], edges[place + 1] - 1.0)) / MS)


def jain_over_time(config: CongestionConfig, result: Result) -> float | None:
    """Return the mean of Jain's index over 1 s goodputs, once all flows run and are warm."""
    if len(result.scenario.flows) < 2:
        return None
    latest = max(flow.start_ns for flow in result.scenario.flows) / SECOND
    first = math.ceil(max(config.warmup_s, latest) / config.bin_s - 1e-9)
    goodput = result.throughput_bps()[:, first:]
    return measures.mean_jain(measures.rebinned(goodput, config.bin_s, JAIN_BIN_S))


def convergence_s(config: CongestionConfig, result: Result) -> float | None:
    """Return the convergence time of the policy's flow that starts last, s from its start."""
    start = result.scenario.flows[config.flows - 1].start_ns / SECOND
    first = math.ceil(start / config.bin_s - 1e-9)
    goodput = result.throughput_bps()[config.flows - 1, first:]
    final = FINAL_SHARE * (config.duration_s - start)
    return measures.convergence_s(goodput, config.bin_s, final)


def rise_s(config: CongestionConfig, result: Result) -> float | None:
    """Return how long the goodput takes after the first step up in capacity, s.

    A step that is not followed counts until the next one, or until the end. None without steps.
    """
    capacity = result.scenario.links[0].capacity
    if not isinstance(capacity, Stepped):
        return None
    steps = _steps(capacity, result.scenario.duration_ns)
    place = next((i for i, (_, before, rate) in enumerate(steps) if rate > before), None)
    if place is None:
        return None
    time, _, rate = steps[place]
    end = steps[place + 1][0] if place + 1 < len(steps) else result.scenario.duration_ns
    goodput = result.throughput_bps().sum(axis=0)[: int(end / SECOND / config.bin_s + 1e-9)]
    target = rate * payload_share(config)
    found = measures.rise_s(goodput, config.bin_s, time / SECOND, target)
    return (end - time) / SECOND if found is None else found


def over_time(config: CongestionConfig, result: Result) -> dict[str, list[Any]]:
    """Return one row per flow and bin: goodput, queueing delay, packets sent and dropped.

    A last group of rows, the flow "link", holds the bottleneck's capacity as its goodput.
    """
    bins = result.series.shape[1]
    times = np.arange(bins) * config.bin_s
    goodput = result.throughput_bps() / 1e6
    parts = []
    for i, flow in enumerate(result.scenario.flows):
        series = result.series[i]
        delivered = np.maximum(series[:, S_DELIVERED], 1)
        delay = series[:, S_WAIT_SUM_NS] / delivered / MS
        delay = np.where(series[:, S_DELIVERED] > 0, delay, np.nan)
        counts = (series[:, S_SENT], series[:, S_DROPPED])
        parts.append(_rows(i, flow.name, times, goodput[i], delay, *counts))
    nothing = np.zeros(bins, np.int64)
    capacity = _capacity_per_bin(config, result)
    empty = np.full(bins, np.nan)
    parts.append(_rows(len(parts), "link", times, capacity, empty, nothing, nothing))
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}


def notes(config: CongestionConfig, result: Result) -> list[str]:
    """Return what a reader must know of this run."""
    silent = [
        flow.name
        for flow, goodput in zip(result.scenario.flows, result.goodput_bps(), strict=True)
        if goodput <= 0
    ]
    found = [f"delivered nothing after the warm-up: {', '.join(silent)}"] if silent else []
    if isinstance(result.scenario.links[0].capacity, Opportunities):
        found.append("capacity of a trace counts one full packet per opportunity")
    return found


def _rows(flow: int, name: str, *columns: NDArray[Any]) -> dict[str, list[Any]]:
    times, goodput, delay, sent, dropped = columns
    known = [None if math.isnan(value) else float(value) for value in delay]
    return {
        "flow": [flow] * len(times),
        "name": [name] * len(times),
        "start_s": [float(t) for t in times],
        "goodput_mbps": [float(rate) for rate in goodput],
        "queue_delay_ms": known,
        "sent": [int(count) for count in sent],
        "dropped": [int(count) for count in dropped],
    }


def _capacity_per_bin(config: CongestionConfig, result: Result) -> NDArray[np.float64]:
    """Return the capacity of each bin, Mbit/s of whole packets."""
    scenario, size = result.scenario, _packet_bytes(result)
    edges = [i * scenario.bin_ns for i in range(result.series.shape[1] + 1)]
    bits = [
        measures.capacity_bits(scenario.links[0].capacity, start, end, size)
        for start, end in itertools.pairwise(edges)
    ]
    return np.array(bits) / config.bin_s / 1e6


def _steps(capacity: Stepped, duration_ns: int) -> list[tuple[int, float, float]]:
    """Return (time, rate before, rate after) of every change within the run."""
    period = capacity.period_ns or duration_ns
    starts = range(0, duration_ns, period) if capacity.period_ns else (0,)
    times = sorted(begin + at for begin in starts for at in capacity.at_ns)
    found = []
    for time in times:
        if 0 < time < duration_ns:
            rates = (measures.rate_at(capacity, time - 1), measures.rate_at(capacity, time))
            found.append((time, *rates))
    return found


def _packet_bytes(result: Result) -> int:
    return int(getattr(result.scenario.flows[0], "packet_bytes", 1514))


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _part(part: float, whole: float) -> float | None:
    """Return part / whole; None where there is no whole."""
    return float(part / whole) if whole else None
