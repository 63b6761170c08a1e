"""One flow in the packet engine and in ns-3 3.37: 100 Mbit/s, 15 ms one way, 250 packets, 60 s.

Made equal: 1448 bytes of payload in 1502 on the wire, an ACK for every packet, 10 packets at first,
time-outs of at least 200 ms, selective acknowledgements, no HyStart, one drop-tail queue of 250
packets beside the one in service. ns-3's connection takes a round trip to set up, and its ACKs
take their own 54 bytes on the way back.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import pytest

from policies.congestion import bbr
from policies.congestion.base import PACING_BPS
from policies.congestion.bbr_state import PACING_MARGIN, QUANTUM_CAP
from policies.congestion.hooks import hook
from sim.net import result
from sim.net.engine import simulate
from sim.net.scenario import Flow, Scenario
from tests.bench.ns3 import program
from tests.needs import need
from tests.net.scenarios import MS, link, over

RATE_BPS, ONE_WAY_MS, QUEUE, SECONDS = 1e8, 15.0, 250, 60.0
PACKET_S = program.WIRE_BYTES * 8 / RATE_BPS
GOODPUT_TOLERANCE = 0.02
"""Relative difference in goodput that is allowed."""

pytestmark = [pytest.mark.extensive, pytest.mark.timeout(600)]


@functools.cache
def theirs(controller: str) -> program.Outcome:
    need("ns3")
    shape = {"rate": RATE_BPS, "delay": ONE_WAY_MS, "queue": QUEUE, "seconds": SECONDS}
    return program.run(controller, **shape)


def scenario(controller: Any) -> Scenario:
    flow = Flow(
        controller,
        packet_bytes=program.WIRE_BYTES,
        payload_bytes=program.PAYLOAD_BYTES,
        start_ns=round(2 * ONE_WAY_MS * MS),
    )
    made = over(link(RATE_BPS, ONE_WAY_MS, QUEUE), flow, SECONDS)
    ack_ns = round(program.ACK_BYTES * 8e9 / RATE_BPS)
    return replace(made, flows=(replace(flow, return_delay_ns=round(ONE_WAY_MS * MS) + ack_ns),))


def ours(controller: Any) -> result.Result:
    return simulate(scenario(controller))


@pytest.mark.parametrize(("controller", "peer"), [("cubic", "TcpCubic"), ("reno", "TcpLinuxReno")])
def test_goodput_delay_and_losses(controller: str, peer: str):
    found, expected = ours(controller), theirs(peer)
    assert found.goodput_bps()[0] == pytest.approx(expected.goodput_bps, rel=GOODPUT_TOLERANCE)
    # Windows of 250 to 500 packets, an epoch of 6 to 15 s: where the end of the run cuts the last
    # epoch moves the mean by some per cent.
    assert found.mean_wait_ns()[0] / 1e9 == pytest.approx(expected.mean_wait_s, rel=0.1)
    # Nearly all are of the first slow start, which overshoots by as much as the path holds.
    lost = found.totals[0, result.DROPPED_QUEUE]
    assert lost == pytest.approx(expected.packets_dropped, rel=0.1)
    assert found.totals[0, result.SENT] == pytest.approx(expected.packets_sent, rel=0.01)


@hook
def _init(state: Any, flow: Any, constants: Any) -> None:
    bbr.init(state, flow, constants)
    state[QUANTUM_CAP] = 1.0


@hook
def _on_ack(state: Any, event: Any, constants: Any) -> None:
    state[PACING_BPS] *= PACING_MARGIN
    bbr.on_ack(state, event, constants)
    state[PACING_BPS] /= PACING_MARGIN


class Ns3Bbr(bbr.Bbr):
    """Our BBR with the two things that ns-3's, unlike Linux's, does not have.

    They are the pacing margin of 1 % (Linux since 4.20) and the allowance of 3 bursts of about
    1 ms in the packets that may be in flight. ns-3 allows 3 packets; ours then still 6.
    """

    name = "ns3_bbr"
    init = _init
    on_ack = _on_ack


def test_goodput_of_bbr():
    found = ours("bbr")
    expected = theirs("TcpBbr")
    assert found.goodput_bps()[0] == pytest.approx(expected.goodput_bps, rel=GOODPUT_TOLERANCE)
    # Linux's allowance at 100 Mbit/s is 24 packets, 21 more than ns-3's. They make up a queue where
    # each cycle ends its draining; the margin drains it by 1 % of the time that a cycle cruises.
    more = found.mean_wait_ns()[0] / 1e9 - expected.mean_wait_s
    assert 0.0 < more < 21 * PACKET_S


def test_delay_of_bbr_once_the_differences_are_taken_out():
    found = ours(Ns3Bbr)
    expected = theirs("TcpBbr")
    assert found.goodput_bps()[0] == pytest.approx(expected.goodput_bps, rel=GOODPUT_TOLERANCE)
    wait = found.mean_wait_ns()[0] / 1e9 - 3 * PACKET_S
    assert wait == pytest.approx(expected.mean_wait_s, rel=0.1)
