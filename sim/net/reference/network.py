"""A network put together from a scenario, and run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.net import luck, result
from sim.net.flow_facts import flow_row
from sim.net.reference.account import Account, Trace
from sim.net.reference.clock import Clock
from sim.net.reference.controller import Controller
from sim.net.reference.link import Link, Route
from sim.net.reference.packet import Packet
from sim.net.reference.receiver import Receiver
from sim.net.reference.sender import Sender
from sim.net.reference.source import OpenLoop
from sim.net.result import Result
from sim.net.scenario import Flow, Scenario


def simulate(scenario: Scenario, trace: bool = False) -> Result:
    """Run a scenario, packet by packet; with `trace` also return each event.

    Raises:
        PolicyError: a controller raised, or left something that is not a window or a rate.
    """
    return Network(scenario, trace).run()


class Network:
    """Everything that takes part in one run.

    Attributes:
        links: the links of the scenario.
        queue_area: after the run, packets waiting at each link x ns, summed up over the run.
    """

    def __init__(self, scenario: Scenario, trace: bool = False) -> None:
        self._scenario = scenario
        self._clock = Clock(max(len(scenario.links), len(scenario.flows)))
        self._trace = Trace(trace)
        self._luck = luck.seeds(scenario)
        self._accounts = [self._account(index) for index in range(len(scenario.flows))]
        self.links = [self._link(index) for index in range(len(scenario.links))]
        self._receivers = [self._flow(index) for index in range(len(scenario.flows))]
        self.queue_area: list[int] = []

    def run(self) -> Result:
        """Run to the end of the scenario, once."""
        end = self._scenario.duration_ns
        self._clock.run(end)
        for link in self.links:
            link.finish(end)
        self.queue_area = [link.waiting.area for link in self.links]
        found = self._result()
        found.check_accounts()
        return found

    def _account(self, index: int) -> Account:
        flow = self._scenario.flows[index]
        payload = flow.payload if isinstance(flow, Flow) else None
        return Account(self._scenario, index, payload, self._trace)

    def _link(self, index: int) -> Link:
        is_last = [flow.path[-1] == index for flow in self._scenario.flows]
        route = Route(is_last, self._onward, self._dropped)
        streams = self._streams(luck.LINK_PURPOSES, index)
        return Link(self._clock, index, self._scenario.links[index], streams, route)

    def _flow(self, index: int) -> Receiver | None:
        """Make the ends of a flow; return the receiver of a controlled one."""
        scenario, clock, account = self._scenario, self._clock, self._accounts[index]
        flow = scenario.flows[index]
        first_link = self.links[flow.path[0]]
        if not isinstance(flow, Flow):
            streams = self._streams(luck.FLOW_PURPOSES, index)
            OpenLoop(clock, index, flow, first_link, streams, account)
            return None
        seed = int(self._luck["controller"][index])
        controller = Controller(flow, flow_row(scenario, flow), seed)
        sender = Sender(clock, index, flow, first_link, controller, account, self._trace)
        return Receiver(clock, index, flow, scenario.return_delay_ns(flow), sender.acked)

    def _streams(self, purposes: tuple[str, ...], index: int) -> dict[str, luck.Stream]:
        return {purpose: luck.Stream(int(self._luck[purpose][index])) for purpose in purposes}

    def _onward(self, packet: Packet) -> None:
        """Take a packet that leaves a link to the next one, or to its receiver."""
        path = self._scenario.flows[packet.flow].path
        packet.hop += 1
        if packet.hop < len(path):
            return self.links[path[packet.hop]].arrive(packet)
        packet.delivered_ns = self._clock.now
        self._accounts[packet.flow].delivered(packet)
        receiver = self._receivers[packet.flow]
        if receiver is not None:
            receiver.receive(packet)

    def _dropped(self, packet: Packet, link: int, cause: int, now_ns: int) -> None:
        self._accounts[packet.flow].dropped(packet, link, cause, now_ns)

    def _result(self) -> Result:
        accounts, flows = self._accounts, len(self._accounts)
        bins = len(accounts[0].series)
        in_network = np.zeros(flows, np.int64)
        for link in self.links:
            for packet in link.contents():
                in_network[packet.flow] += 1
        return Result(
            scenario=self._scenario,
            totals=_table(accounts, lambda account: account.totals),
            waits=_table(accounts, lambda account: account.waits),
            links=_table(self.links, lambda link: link.totals),
            series=_table(accounts, lambda account: account.series).reshape(
                flows, bins, len(result.SERIES)
            ),
            in_network=in_network,
            trace=self._trace.array(),
        )


def _table(parts: list[Any], rows: Callable[[Any], Any]) -> NDArray[np.int64]:
    return np.array([rows(part) for part in parts], np.int64)
