"""Small scenarios that several tests share, and what they read from a trace."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.net import result
from sim.net.links import Constant, DropTail, Link, Loss
from sim.net.scenario import SECOND, Flow, Scenario, Source

MS = 1_000_000


def link(
    rate_bps: float, one_way_ms: float = 0.0, packets: int = 10**6, loss: Loss | None = None
) -> Link:
    """Return a drop-tail link of constant capacity, its queue far too long to fill by default."""
    delay_ns = round(one_way_ms * MS)
    return Link(Constant(rate_bps), delay_ns, DropTail(packets=packets), loss)


def over(
    the_link: Link, flow: Flow | Source, seconds: float, from_s: float = 0.0, **fields: Any
) -> Scenario:
    """Return the scenario of one flow over one link, measured from `from_s` on."""
    duration, measured = round(seconds * SECOND), round(from_s * SECOND)
    return Scenario((the_link,), (flow,), duration, measure_from_ns=measured, **fields)


def rows(found: result.Result, kind: int, flow: int = 0) -> NDArray[Any]:
    """Return the trace's rows of one kind and flow."""
    assert found.trace is not None
    return found.trace[(found.trace["kind"] == kind) & (found.trace["flow"] == flow)]


def mean_window(acks: NDArray[Any]) -> float:
    """Return the mean over time of the window, packets, from a trace's rows of ACKs."""
    spans = np.diff(acks["time_ns"].astype(np.float64))
    return float(np.sum(acks["cwnd"][:-1] * spans) / np.sum(spans))
