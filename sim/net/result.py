"""What a run of either engine gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.net.scenario import Flow, Scenario

# Columns of the totals of a flow. All but the last two groups count from `measure_from_ns` on.
TOTALS = (
    "sent",
    "delivered",
    "delivered_bytes",
    "payload_bytes",
    "spurious",
    "dropped_loss",
    "dropped_red",
    "dropped_queue",
    "dropped_codel",
    "wait_sum_ns",
    "wait_max_ns",
    "declared_lost",
    "timeouts",
    "acks",
    "rtt_sum_ns",
    "all_sent",
    "all_delivered",
    "all_dropped",
)
(
    SENT,
    DELIVERED,
    DELIVERED_BYTES,  # whole packets
    PAYLOAD_BYTES,  # of them, payload
    SPURIOUS,  # packets acknowledged after a time-out had declared them lost
    DROPPED_LOSS,  # the order of the four causes is that of `CAUSES`
    DROPPED_RED,
    DROPPED_QUEUE,
    DROPPED_CODEL,
    WAIT_SUM_NS,  # queueing delay over the delivered packets
    WAIT_MAX_NS,
    DECLARED_LOST,  # by the sender
    TIMEOUTS,
    ACKS,  # that reached the sender
    RTT_SUM_NS,  # over the ACKs
    ALL_SENT,  # from the very start, for the account of packets
    ALL_DELIVERED,
    ALL_DROPPED,
) = range(len(TOTALS))
CAUSES = ("loss", "red", "queue", "codel")

# Columns of a link: over the whole run.
LINK_TOTALS = ("arrived", "dropped", "served", "served_bytes", "wait_sum_ns", "busy_ns")
ARRIVED, L_DROPPED, SERVED, SERVED_BYTES, L_WAIT_SUM_NS, BUSY_NS = range(len(LINK_TOTALS))

# Columns of the series over time.
SERIES = ("sent", "payload_bytes", "delivered", "wait_sum_ns", "dropped")
S_SENT, S_PAYLOAD_BYTES, S_DELIVERED, S_WAIT_SUM_NS, S_DROPPED = range(len(SERIES))

TRACE = np.dtype(
    [
        ("time_ns", np.int64),
        ("kind", np.int64),
        ("flow", np.int64),
        ("number", np.int64),
        ("value", np.int64),
        ("cwnd", np.float64),
        ("pacing_bps", np.float64),
    ]
)
KINDS = ("send", "drop", "deliver", "ack", "lost", "timeout", "interval")
(
    T_SEND,  # number: packet; value: packets in flight after it
    T_DROP,  # number: packet; value: 8 x link + index of the cause
    T_DELIVER,  # number: packet; value: its queueing delay, ns
    T_ACK,  # number: newest packet; value: RTT, ns; cwnd and pacing after the controller
    T_LOST,  # number: packet; value: packets in flight after it; cwnd, pacing after `on_loss`
    T_TIMEOUT,  # number: oldest packet in flight; value: packets given up; cwnd, pacing after
    T_INTERVAL,  # number: id; value: packets acknowledged of it; cwnd, pacing after `on_interval`
) = range(len(KINDS))

WAIT_BINS = 2048
"""Bins of the histogram of queueing delays."""


def wait_bin_edges() -> NDArray[np.float64]:
    """Return float64[WAIT_BINS + 1]: edges in ns. 32 bins per octave, so 3 % wide; see `engine`."""
    exact = np.arange(64, dtype=np.float64)
    octaves = [2.0**e * (1.0 + np.arange(32) / 32.0) for e in range(6, 6 + (WAIT_BINS - 64) // 32)]
    edges = np.concatenate([exact, *octaves])
    return np.append(edges, 2.0 * edges[-1])[: WAIT_BINS + 1]


@dataclass(frozen=True, eq=False)
class Result:
    """Totals, series and, where asked for, the trace of one run.

    Attributes:
        scenario: what was run.
        totals: int64[flows, len(TOTALS)].
        waits: int64[flows, WAIT_BINS], histogram of queueing delays of the delivered packets.
        links: int64[links, len(LINK_TOTALS)].
        series: int64[flows, bins, len(SERIES)], by time of sending, delivery and dropping.
        in_network: int64[flows], packets sent whose fate lies after the end.
        trace: array of TRACE sorted by (time, kind, flow, number), or None.
        events: events that the packet engine processed (0 for the reference engine).
    """

    scenario: Scenario
    totals: NDArray[np.int64]
    waits: NDArray[np.int64]
    links: NDArray[np.int64]
    series: NDArray[np.int64]
    in_network: NDArray[np.int64]
    trace: NDArray[Any] | None
    events: int = 0

    @property
    def measured_s(self) -> float:
        """Return the length of the measured window, s."""
        return (self.scenario.duration_ns - self.scenario.measure_from_ns) / 1e9

    def goodput_bps(self) -> NDArray[np.float64]:
        """Return float64[flows]: payload bits per second of the measured window.

        Spurious packets are left out: the sender had sent their data again.
        """
        payload = self.totals[:, PAYLOAD_BYTES].astype(np.float64)
        for i, flow in enumerate(self.scenario.flows):
            if isinstance(flow, Flow):
                payload[i] -= self.totals[i, SPURIOUS] * flow.payload
        return payload * 8.0 / self.measured_s

    def mean_wait_ns(self) -> NDArray[np.float64]:
        """Return float64[flows]: mean queueing delay; NaN where nothing was delivered."""
        delivered = self.totals[:, DELIVERED].astype(np.float64)
        delivered[delivered == 0.0] = np.nan
        return self.totals[:, WAIT_SUM_NS] / delivered

    def wait_quantile_ns(self, q: float) -> NDArray[np.float64]:
        """Return float64[flows]: quantile of the queueing delay, to the bin's width of 3 %."""
        edges = wait_bin_edges()
        found = np.full(len(self.totals), np.nan)
        for flow, histogram in enumerate(self.waits):
            if total := int(histogram.sum()):
                place = int(np.searchsorted(np.cumsum(histogram), max(q * total - 1e-9, 1.0)))
                place = min(place, WAIT_BINS - 1)
                found[flow] = 0.5 * (edges[place] + max(edges[place], edges[place + 1] - 1.0))
        return found

    def loss(self) -> NDArray[np.float64]:
        """Return float64[flows]: dropped / sent in the measured window; NaN if nothing was sent."""
        dropped = self.totals[:, DROPPED_LOSS : DROPPED_CODEL + 1].sum(axis=1)
        sent = self.totals[:, SENT]
        shares = [d / n if n else np.nan for d, n in zip(dropped, sent, strict=True)]
        return np.array(shares, np.float64)

    def throughput_bps(self) -> NDArray[np.float64]:
        """Return float64[flows, bins]: payload delivered over time, spurious packets included.

        Raises:
            ValueError: the scenario asked for no series (`bin_ns` is 0).
        """
        if not self.scenario.bin_ns:
            raise ValueError("the scenario has bin_ns = 0, so there is no series")
        payload = self.series[:, :, S_PAYLOAD_BYTES].astype(np.float64)
        return payload * (8.0 / (self.scenario.bin_ns / 1e9))

    def check_accounts(self) -> None:
        """Check that no packet appeared or vanished.

        Raises:
            AssertionError: sent is not delivered + dropped + in the network, for some flow.
        """
        fates = self.totals[:, ALL_DELIVERED] + self.totals[:, ALL_DROPPED] + self.in_network
        for i, flow in enumerate(self.scenario.flows):
            if (sent := self.totals[i, ALL_SENT]) != fates[i]:
                raise AssertionError(f"{flow.label}: sent {sent} packets, accounted for {fates[i]}")

    def is_controlled(self, flow: int) -> bool:
        """Return whether the flow has a controller."""
        return isinstance(self.scenario.flows[flow], Flow)
