"""Packets per second of the network simulator: one flow, a hundred flows, SimPy, and ns-3."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim.net import reference, result
from sim.net.engine import simulate
from sim.net.links import Constant
from sim.net.scenario import SECOND, Flow, Scenario
from sim.net.topology import dumbbell
from tests.bench.ns3 import program
from tests.needs import need
from tests.net.scenarios import MS, link, over

RATE_BPS, ONE_WAY_MS, QUEUE = 1e8, 15.0, 250
NS3_SECONDS = 20.0

# Long enough that a round takes several seconds.
ONE_FLOW_S, MANY_FLOWS_S, REFERENCE_S = 4000.0, 300.0, 15.0


def one_flow(seconds: float) -> Scenario:
    """Return the scenario of the comparison with ns-3; sizes on the wire are ns-3's."""
    flow = Flow("cubic", packet_bytes=program.WIRE_BYTES, payload_bytes=program.PAYLOAD_BYTES)
    return over(link(RATE_BPS, ONE_WAY_MS, QUEUE), flow, seconds)


def many_flows(seconds: float) -> Scenario:
    """Return a hundred CUBIC flows that share 1 Gbit/s, with RTTs of 20 to 119 ms."""
    bottleneck = link(10 * RATE_BPS, 10.0, 10 * QUEUE)
    flows = [Flow("cubic", name=f"flow {i}") for i in range(100)]
    extra = [i * MS for i in range(100)]
    assert isinstance(bottleneck.capacity, Constant)
    delay, queue = bottleneck.delay_ns, bottleneck.queue
    links, placed = dumbbell(bottleneck.capacity, delay, queue, flows, extra_rtt_ns=extra)
    return Scenario(links, placed, round(seconds * SECOND))


def packets(scenario: Scenario) -> int:
    """Return how many data packets a run of the scenario sends."""
    return int(simulate(scenario).totals[:, result.ALL_SENT].sum())


@pytest.fixture(autouse=True, scope="module")
def compiled() -> None:
    """Compile before the clock starts."""
    simulate(one_flow(1.0))


@pytest.mark.bench("net/cubic1", unit="packets/s", better="higher")
def test_cubic1(measure) -> None:
    """One CUBIC flow over one bottleneck."""
    scenario = one_flow(ONE_FLOW_S)
    found = measure(lambda: simulate(scenario), rounds=3, amount=packets(scenario))
    assert found.goodput_bps()[0] > 0.9 * RATE_BPS


@pytest.mark.bench("net/cubic100", unit="packets/s", better="higher")
def test_cubic100(measure) -> None:
    """A hundred CUBIC flows over one bottleneck."""
    scenario = many_flows(MANY_FLOWS_S)
    found = measure(lambda: simulate(scenario), rounds=3, amount=packets(scenario))
    assert found.goodput_bps().sum() > 0.9 * 10 * RATE_BPS


@pytest.mark.bench("net/reference", unit="packets/s", better="higher")
def test_reference(measure) -> None:
    """The flow of net/cubic1 in the SimPy engine."""
    scenario = one_flow(REFERENCE_S)
    found = measure(lambda: reference.simulate(scenario), rounds=3, amount=packets(scenario))
    assert (found.totals == simulate(scenario).totals).all()


@pytest.mark.bench("net/vs_ns3", unit="packets/s", better="higher")
def test_vs_ns3(measure) -> None:
    """The flow of net/cubic1, long enough to be timed; ns-3 runs the same for 20 s."""
    need("ns3")
    scenario = replace(one_flow(ONE_FLOW_S), seed=1)
    found = measure(lambda: simulate(scenario), rounds=3, amount=packets(scenario))
    assert found.totals[0, result.ALL_SENT] > 0


@pytest.mark.bench("net/vs_ns3", unit="packets/s", better="higher", side="ns-3")
def test_vs_ns3_peer(measure) -> None:
    """The start of its process, some 0.1 s of several, is in the time."""
    need("ns3")
    shape = {"rate": RATE_BPS, "delay": ONE_WAY_MS, "queue": QUEUE, "seconds": NS3_SECONDS}
    sent = program.run("TcpCubic", **shape).packets_sent
    found = measure(lambda: program.run("TcpCubic", **shape), rounds=3, amount=sent)
    assert found.packets_sent == sent
