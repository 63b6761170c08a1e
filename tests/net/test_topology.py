"""Dumbbell and parking lot: paths, delays, and what sharing does to those who cross more hops."""

import pytest

from sim.net.engine import simulate
from sim.net.links import Constant, DropTail
from sim.net.result import ACKS, RTT_SUM_NS
from sim.net.scenario import Flow, Scenario
from sim.net.topology import bdp_packets, buffer_of, dumbbell, parking_lot

MS = 1_000_000


def test_bdp_and_buffer_by_hand():
    # 30 Mbit/s x 30 ms = 900,000 bits = 74.3 packets of 12,112 bits.
    assert bdp_packets(30e6, 30 * MS) == 74
    assert buffer_of(0.5, 30e6, 30 * MS) == DropTail(packets=37)
    assert buffer_of(0.0, 30e6, 30 * MS) == DropTail(packets=1)


def test_flows_of_a_dumbbell_have_their_own_rtts():
    flows = [Flow("fixed", start_rate_bps=1e6, start_ns=start) for start in (0, 3 * MS)]
    links, placed = dumbbell(
        Constant(12.112e6), 10 * MS, DropTail(packets=50), flows, extra_rtt_ns=[0, 25 * MS]
    )
    result = simulate(Scenario(links, placed, 10**9))
    rtt_ns = result.totals[:, RTT_SUM_NS] / result.totals[:, ACKS]
    # 10 ms out, 10 ms back, 1 ms of service; the packets of the two never meet: 12.112 ms apart.
    assert rtt_ns.tolist() == [21 * MS, 46 * MS]


def test_the_flow_through_a_parking_lot_gets_less_than_those_that_cross_it():
    crossing = [Flow("reno", name=f"cross {i}") for i in range(3)]
    links, flows = parking_lot(
        [Constant(2e7)] * 3, 5 * MS, DropTail(packets=50), Flow("reno", name="through"), crossing
    )
    assert flows[0].path == (0, 1, 2)
    result = simulate(Scenario(links, flows, 60 * 10**9, measure_from_ns=10 * 10**9))
    goodput = result.goodput_bps()
    # Its RTT is longer and it meets losses at each hop; max-min fairness would give half.
    assert 0.0 < goodput[0] < 0.7 * goodput[1:].min()
    used = goodput[0] + goodput[1:]
    assert (used < 0.957 * 2e7).all()
    assert (used > 0.85 * 2e7).all()


def test_hops_and_crossing_flows_must_match():
    with pytest.raises(ValueError, match="2 hops need as many crossing flows, not 1"):
        parking_lot([Constant(1e6)] * 2, 1, DropTail(packets=5), Flow("reno"), [Flow("reno")])
