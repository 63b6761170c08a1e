"""From the account of an emulated link to what the packet engine gives back.

Both kinds, simulated and emulated, then have one definition of every metric: that of
`congestion_measures`. A flow here is the connection of its host that carried most; iperf3's
connection for control carries next to nothing and is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.net import result as r
from sim.net.scenario import Flow, Scenario

DELIVER, LOST, DROPPED = range(3)  # verdicts of `emu.relay.lane`


def as_result(scenario: Scenario, packets: NDArray[np.void], sources: Sequence[int]) -> r.Result:
    """Return totals, histogram and series of an emulated run.

    Flows start when their first packet reaches the link. RTTs are what the packets met: delay at
    the link and the way back; what hosts add is not in them. Spurious are packets whose data had
    arrived before.

    Args:
        scenario: one link; what was asked for, flow i being that of `sources[i]`.
        packets: the link's account, in order of arrival (`emu.relay.account.RECORD`).
        sources: IPv4 address of each flow's sender, as a number.

    Raises:
        ValueError: a flow sent nothing.
    """
    end, flows = scenario.duration_ns, []
    parts = []
    for flow, source in zip(scenario.flows, sources, strict=True):
        assert isinstance(flow, Flow)
        rows = _of_flow(packets, source, end)
        if not len(rows):
            raise ValueError(f"{flow.label} sent nothing; did its connection come about?")
        flows.append(replace(flow, start_ns=int(rows["arrival_ns"][0])))
        parts.append(_Flow(scenario, rows, scenario.return_delay_ns(flow)))
    return r.Result(
        scenario=replace(scenario, flows=tuple(flows)),
        totals=np.array([part.totals() for part in parts], np.int64),
        waits=np.array([part.waits() for part in parts], np.int64),
        links=_link(parts)[None, :],
        series=np.array([part.series() for part in parts], np.int64),
        in_network=np.array([part.in_network() for part in parts], np.int64),
        trace=None,
    )


def _of_flow(packets: NDArray[np.void], source: int, end_ns: int) -> NDArray[np.void]:
    """Return the packets before the end of a host's connection that carried most."""
    own = packets[(packets["source"] == source) & (packets["arrival_ns"] < end_ns)]
    ports, places = np.unique(own["port"], return_inverse=True)
    if not len(ports):
        return own
    carried = np.bincount(places, weights=own["payload"])
    return own[own["port"] == ports[int(np.argmax(carried))]]


class _Flow:
    """The books of one flow."""

    def __init__(self, scenario: Scenario, rows: NDArray[np.void], return_ns: int) -> None:
        self.rows, self._return_ns = rows, return_ns
        self._scenario, self._from = scenario, scenario.measure_from_ns
        verdict = rows["verdict"]
        arrived = (verdict == DELIVER) & (rows["deliver_ns"] < scenario.duration_ns)
        self.delivered = rows[arrived]
        self.dropped = rows[verdict != DELIVER]
        self.spurious = _repeated(self.delivered)

    def totals(self) -> list[int]:
        """Return the columns of `TOTALS`."""
        late = self.delivered["deliver_ns"] >= self._from
        given = self.delivered[late]
        taken = self.dropped[self.dropped["arrival_ns"] >= self._from]
        waits = given["wait_ns"]
        rtts = given["deliver_ns"] - given["arrival_ns"] + self._return_ns
        found: dict[int, Any] = dict.fromkeys(range(len(r.TOTALS)), 0)
        found[r.SENT] = np.count_nonzero(self.rows["arrival_ns"] >= self._from)
        found[r.DELIVERED] = found[r.ACKS] = len(given)
        found[r.DELIVERED_BYTES] = _sum(given["bytes"])
        found[r.PAYLOAD_BYTES] = _sum(given["payload"])
        found[r.SPURIOUS] = np.count_nonzero(late & self.spurious)
        found[r.DROPPED_LOSS] = np.count_nonzero(taken["verdict"] == LOST)
        found[r.DROPPED_QUEUE] = np.count_nonzero(taken["verdict"] == DROPPED)
        found[r.WAIT_SUM_NS], found[r.RTT_SUM_NS] = _sum(waits), _sum(rtts)
        found[r.WAIT_MAX_NS] = int(waits.max(initial=0))
        found[r.DECLARED_LOST] = len(taken)
        found[r.ALL_SENT] = len(self.rows)
        found[r.ALL_DELIVERED], found[r.ALL_DROPPED] = len(self.delivered), len(self.dropped)
        return [int(found[column]) for column in range(len(r.TOTALS))]

    def waits(self) -> NDArray[np.int64]:
        """Return the histogram of queueing delays."""
        late = self.delivered["deliver_ns"] >= self._from
        edges = r.wait_bin_edges()
        waits = self.delivered["wait_ns"][late]
        places = np.searchsorted(edges, waits, side="right") - 1
        return np.bincount(np.minimum(places, r.WAIT_BINS - 1), minlength=r.WAIT_BINS)

    def series(self) -> NDArray[np.int64]:
        """Return int64[bins, len(SERIES)]."""
        given = self.delivered
        columns: dict[int, tuple[Any, Any]] = {
            r.S_SENT: (self.rows["arrival_ns"], None),
            r.S_PAYLOAD_BYTES: (given["deliver_ns"], given["payload"]),
            r.S_DELIVERED: (given["deliver_ns"], None),
            r.S_WAIT_SUM_NS: (given["deliver_ns"], given["wait_ns"]),
            r.S_DROPPED: (self.dropped["arrival_ns"], None),
        }
        width, end = self._scenario.bin_ns, self._scenario.duration_ns
        bins = -(-end // width) if width else 0
        found = np.zeros((bins, len(r.SERIES)), np.int64)
        for column, (times, values) in columns.items():
            places = np.minimum(times // max(1, width), bins - 1)
            amounts = np.ones(len(times), np.int64) if values is None else values.astype(np.int64)
            if bins:
                np.add.at(found[:, column], places, amounts)
        return found

    def in_network(self) -> int:
        """Return the packets whose fate lies after the end."""
        return len(self.rows) - len(self.delivered) - len(self.dropped)


def _repeated(rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """Return which packets bring data that an earlier one brought; numbers wrap after 4 GiB."""
    found = np.ones(len(rows), np.bool_)
    found[np.unique(rows["sequence"], return_index=True)[1]] = False
    return found


def _link(parts: Sequence[_Flow]) -> NDArray[np.int64]:
    """Return the columns of `LINK_TOTALS` of the one link; busy time is not known."""
    found = np.zeros(len(r.LINK_TOTALS), np.int64)
    for part in parts:
        found[r.ARRIVED] += len(part.rows)
        found[r.L_DROPPED] += len(part.dropped)
        found[r.SERVED] += len(part.delivered)
        found[r.SERVED_BYTES] += _sum(part.delivered["bytes"])
        found[r.L_WAIT_SUM_NS] += _sum(part.delivered["wait_ns"])
    return found


def _sum(values: NDArray[Any]) -> int:
    return int(values.sum(dtype=np.int64))
