"""What a controller's `init` is told of its flow. Both engines use this."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from policies.congestion import base
from sim.net.links import Constant, Link, Stepped
from sim.net.scenario import Flow, Scenario


def flow_row(scenario: Scenario, flow: Flow) -> NDArray[np.float64]:
    """Return float64[len(base.FLOW)]; see there. Only oracles see the last two columns."""
    row = np.full(len(base.FLOW), np.nan)
    row[base.PACKET_BYTES] = flow.packet_bytes
    row[base.PAYLOAD_BYTES] = flow.payload
    row[base.INITIAL_WINDOW] = flow.initial_window
    row[base.START_NS] = flow.start_ns
    if flow.start_rate_bps is not None:
        row[base.START_RATE_BPS] = flow.start_rate_bps
    if getattr(flow.controller_class, "oracle", False):
        path = [scenario.links[hop] for hop in flow.path]
        rates = [mean_bps(link, flow.packet_bytes, scenario.duration_ns) for link in path]
        served = sum(math.ceil(flow.packet_bytes * 8e9 / rate) for rate in rates)
        row[base.BOTTLENECK_BPS] = min(rates)
        row[base.BASE_RTT_NS] = (
            sum(link.delay_ns for link in path) + served + scenario.return_delay_ns(flow)
        )
    return row


def mean_bps(link: Link, packet_bytes: int, duration_ns: int) -> float:
    """Return the mean capacity of a link, bit/s; packets have the given size.

    The mean is over a period, or over the run where there is none.
    """
    capacity = link.capacity
    if isinstance(capacity, Constant):
        return float(round(capacity.rate_bps))
    if isinstance(capacity, Stepped):
        end = capacity.period_ns or max(duration_ns, capacity.at_ns[-1] + 1)
        ends = (*capacity.at_ns[1:], end)
        pieces = zip(capacity.at_ns, ends, capacity.rate_bps, strict=True)
        return sum((b - a) * round(rate) for a, b, rate in pieces) / end
    return len(capacity.at_ns) * packet_bytes * 8e9 / capacity.period_ns
