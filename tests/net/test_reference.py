"""The reference engine against runs worked out by hand, conservation and queueing theory.

In the hand-worked runs a packet has 1000 bytes and takes 1 ms on the link; times are ms.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.congestion import base
from policies.congestion.hooks import hook
from sim.net import policy_checks, result
from sim.net.links import (
    Bernoulli,
    CoDel,
    Constant,
    DropTail,
    GilbertElliott,
    Link,
    Opportunities,
    Red,
    Stepped,
)
from sim.net.problems import PolicyError
from sim.net.reference import Network, simulate
from sim.net.reference.account import wait_bin
from sim.net.scenario import Flow, Scenario, Sizes, Source
from tests.net.controllers import Events, noting, told

MS = 1_000_000
SECOND = 1000 * MS
LINK = Link(Constant(8e6), 10 * MS, DropTail(packets=100))


def flow(controller: Any, **fields: Any) -> Flow:
    return Flow(controller, packet_bytes=1000, payload_bytes=900, **fields)


def run(
    flows: Any, duration_ms: float, links: tuple[Link, ...] = (LINK,), **fields: Any
) -> result.Result:
    flows = flows if isinstance(flows, tuple) else (flows,)
    return simulate(Scenario(links, flows, round(duration_ms * MS), **fields), trace=True)


def seen(found: result.Result, kind: int) -> list[tuple[float, int, float]]:
    """Return (ms, number, value) of the trace's rows of a kind."""
    assert found.trace is not None
    rows = found.trace[found.trace["kind"] == kind]
    return [(row["time_ns"] / MS, int(row["number"]), int(row["value"])) for row in rows]


# One link


def test_a_paced_flow_meets_no_queue():
    found = run(flow("fixed", parameters={"rate_bps": 4e6}), 25)
    sends = [(2.0 * n, n, n + 1) for n in range(11)]
    assert seen(found, result.T_SEND) == [*sends, (22.0, 11, 11), (24.0, 12, 11)]
    assert seen(found, result.T_DELIVER) == [(11.0 + 2 * n, n, 0) for n in range(8)]
    assert seen(found, result.T_ACK) == [(21.0 + 2 * n, n, 21 * MS) for n in range(3)]
    assert found.in_network.tolist() == [13 - 8]
    assert found.totals[0, result.PAYLOAD_BYTES] == 8 * 900
    assert found.links[0].tolist() == [13, 0, 13, 13_000, 0, 13 * MS]


def test_what_finds_the_queue_full_is_dropped_and_found_missing():
    events: Events = []
    short = Link(Constant(8e6), 10 * MS, DropTail(packets=2))
    found = run(flow(noting(events, cwnd=5.0)), 45, (short,))
    assert seen(found, result.T_SEND)[:5] == [(0.0, n, n + 1) for n in range(5)]
    assert seen(found, result.T_DROP) == [(0.0, 3, 2), (0.0, 4, 2)]
    assert seen(found, result.T_DELIVER)[:3] == [(11.0, 0, 0), (12.0, 1, MS), (13.0, 2, 2 * MS)]
    # Packet 6, sent at 22, is acknowledged at 43, when packets 0 to 8 have been sent.
    assert seen(found, result.T_LOST) == [(43.0, 3, 3), (44.0, 4, 3)]
    columns = ("packet", "new_episode", "inflight", "prior_inflight", "next_packet", "lost_total")
    assert told(events, "on_loss", *columns) == [(3, 1, 3, 5, 9, 1), (4, 0, 3, 5, 11, 2)]
    last = told(events, "on_ack", "packet", "acked", "lost", "delivered", "in_recovery")[-1]
    assert last == (7, 1, 1, 6, 1)


def test_a_limit_in_bytes_counts_what_waits():
    short = Link(Constant(8e6), 0, DropTail(bytes=2999))
    found = run(flow(noting([], cwnd=5.0)), 0.5, (short,))
    assert seen(found, result.T_DROP) == [(0.0, 3, 2), (0.0, 4, 2)]


def test_an_ack_tells_the_state_of_the_connection():
    events: Events = []
    run(flow(noting(events, cwnd=2.0)), 43)
    columns = ("now_ns", "packet", "rtt_ns", "srtt_ns", "min_rtt_ns", "inflight", "prior_inflight")
    assert told(events, "on_ack", *columns) == [
        (21 * MS, 0, 21 * MS, 21 * MS, 21 * MS, 1, 2),
        (22 * MS, 1, 22 * MS, 21.125 * MS, 21 * MS, 1, 2),
        (42 * MS, 2, 21 * MS, 21.109375 * MS, 21 * MS, 1, 2),
        (43 * MS, 3, 21 * MS, 21.095703125 * MS, 21 * MS, 1, 2),
    ]
    # Packet 2 was sent at 21, when packet 0 had just been acknowledged, sent at 0.
    columns = ("delivered", "prior_delivered", "sample_ns", "tx_inflight", "next_packet")
    assert told(events, "on_ack", *columns)[1:3] == [(2, 0, 22 * MS, 2, 3), (3, 1, 21 * MS, 2, 4)]


def test_init_is_told_of_the_flow():
    events: Events = []
    run(flow(noting(events, cwnd=1.0), start_ns=3 * MS, start_rate_bps=5e6), 4)
    ((name, facts),) = events
    assert name == "init"
    assert math.isnan(facts.pop("bottleneck_bps"))
    assert math.isnan(facts.pop("base_rtt_ns"))
    assert list(facts.values()) == [1000, 900, 10, 3 * MS, 5e6]


def test_an_oracle_is_shown_the_path():
    events: Events = []
    oracle = noting(events, cwnd=1.0)
    oracle.oracle = True
    slow = Link(Stepped((0, 3 * MS), (2e6, 6e6), 4 * MS), 5 * MS, DropTail(packets=5))
    run(flow(oracle, path=(0, 1)), 1, (LINK, slow))
    # The second link serves 3 Mbit/s on average: 8/3 ms, rounded up.
    assert told(events, "init", "bottleneck_bps", "base_rtt_ns") == [(3e6, 33_666_667)]


# Acknowledgements


def test_delayed_acks_cover_pairs_and_the_last_one_waits():
    events: Events = []
    paced = noting(events, pacing_bps=4e6)
    run(flow(paced, ack_every=2, ack_timeout_ns=7 * MS, stop_ns=5 * MS), 100)
    # Delivered at 11, 13, 15; the third waits for 7 ms.
    assert told(events, "on_ack", "now_ns", "packet", "acked") == [(23 * MS, 1, 2), (32 * MS, 2, 1)]


def test_a_packet_at_the_very_instant_of_the_timer_is_covered():
    events: Events = []
    paced = noting(events, pacing_bps=4e6)
    run(flow(paced, ack_every=5, ack_timeout_ns=2 * MS, stop_ns=5 * MS), 100)
    assert told(events, "on_ack", "now_ns", "packet", "acked") == [(23 * MS, 1, 2), (27 * MS, 2, 1)]


def test_a_gap_is_acknowledged_at_once():
    events: Events = []
    short = Link(Constant(8e6), 10 * MS, DropTail(packets=2))
    window = noting(events, cwnd=5.0)
    run(flow(window, ack_every=4, ack_timeout_ns=3 * MS), 46, (short,))
    # 0 to 2 arrive at 11, 12, 13; 3 and 4 are lost; 5 to 7 are sent at 24, and 5 arrives at 35.
    assert told(events, "on_ack", "now_ns", "packet", "acked") == [(24 * MS, 2, 3), (45 * MS, 5, 1)]


# Two hops


def test_waiting_adds_up_over_two_links():
    links = (
        Link(Constant(8e6), 5 * MS, DropTail(packets=9)),
        Link(Constant(4e6), 3 * MS, DropTail(packets=9)),
    )
    found = run(flow(noting([], cwnd=2.0), path=(0, 1)), 22, links)
    # The first link serves from 0 to 1 and 1 to 2, the second from 6 to 8 and 8 to 10.
    assert seen(found, result.T_DELIVER) == [(11.0, 0, 0), (13.0, 1, 2 * MS)]
    assert seen(found, result.T_ACK) == [(19.0, 0, 19 * MS), (21.0, 1, 21 * MS)]
    assert found.links[:, result.L_WAIT_SUM_NS].tolist() == [MS, MS]
    assert found.in_network.tolist() == [2]


# Capacity that varies


def test_opportunities_are_waited_for():
    trace = Link(Opportunities((3 * MS, 3 * MS, 7 * MS), 10 * MS), 10 * MS, DropTail(packets=3))
    found = run(flow(noting([], cwnd=5.0)), 40, (trace,))
    waits = [3 * MS, 3 * MS + 1, 7 * MS]
    assert seen(found, result.T_DROP)[:2] == [(0.0, 3, 2), (0.0, 4, 2)]
    assert [wait for _, _, wait in seen(found, result.T_DELIVER)[:3]] == waits


def test_a_packet_is_served_at_the_rates_of_its_time():
    steps = Link(Stepped((0, 2 * MS), (2e6, 8e6), 5 * MS), 0, DropTail(packets=9))
    found = run(flow(noting([], cwnd=3.0), return_delay_ns=SECOND), 10, (steps,))
    # 4000 bits by 2 ms, the other 4000 in 0.5 ms; then 1 ms; then 1.5 ms at 8 and 0 at 2 Mbit/s.
    assert [time for time, _, _ in seen(found, result.T_DELIVER)] == [2.5, 3.5, 4.5]


# Monitor intervals


def test_intervals_count_what_happens_while_they_last():
    events: Events = []
    paced = noting(events, pacing_bps=4e6, interval_ns=6.0 * MS)
    run(flow(paced, attribution=base.DURING), 25)
    columns = ("now_ns", "id", "start_ns", "end_ns", "sent", "acked")
    assert told(events, "on_interval", *columns) == [
        (6 * MS, 0, 0, 6 * MS, 3, 0),
        (12 * MS, 1, 6 * MS, 12 * MS, 3, 0),
        (18 * MS, 2, 12 * MS, 18 * MS, 3, 0),
        (24 * MS, 3, 18 * MS, 24 * MS, 3, 2),
    ]
    columns = ("send_span_ns", "ack_span_ns", "mean_rtt_ns", "rtt_slope", "pacing_bps")
    assert told(events, "on_interval", *columns)[3] == (4 * MS, 2 * MS, 21 * MS, 0.0, 4e6)
    assert math.isnan(told(events, "on_interval", "mean_rtt_ns")[0][0])
    starts = told(events, "on_interval_start", "now_ns", "id", "start_ns")
    assert starts == [(6.0 * MS * n, n, 6.0 * MS * n) for n in range(5)]


def test_intervals_follow_the_packets_sent_in_them():
    events: Events = []
    paced = noting(events, pacing_bps=4e6, interval_ns=6.0 * MS)
    run(flow(paced, attribution=base.SENT), 32)
    columns = ("now_ns", "id", "start_ns", "end_ns", "sent", "acked", "lost", "ack_span_ns")
    assert told(events, "on_interval", *columns) == [
        (25 * MS, 0, 0, 6 * MS, 3, 3, 0, 4 * MS),
        (31 * MS, 1, 6 * MS, 12 * MS, 3, 3, 0, 4 * MS),
    ]


@pytest.mark.parametrize("attribution", [base.DURING, base.SENT])
def test_an_interval_waits_for_its_packets(attribution: str):
    events: Events = []
    paced = noting(events, pacing_bps=4e6, interval_ns=6.0 * MS, interval_packets=5.0)
    run(flow(paced, attribution=attribution), 60)
    columns = ("start_ns", "end_ns", "sent")
    # The fifth packet goes at 8, and belongs to the interval that waited for it.
    assert told(events, "on_interval", *columns)[:2] == [(0, 8 * MS, 5), (8 * MS, 18 * MS, 5)]


def test_the_slope_and_the_halves_of_a_growing_queue():
    events: Events = []
    paced = noting(events, pacing_bps=16e6, interval_ns=1.4 * MS)
    run(flow(paced, attribution=base.SENT), 30)
    # Sent at 0, 0.5 and 1.0; acknowledged at 21, 22 and 23.
    columns = ("first_half_rtt_ns", "second_half_rtt_ns", "least_rtt_ns", "rtt_slope")
    assert told(events, "on_interval", *columns)[0] == (21 * MS, 21.75 * MS, 21 * MS, 1.0)


def test_losses_settle_an_interval():
    events: Events = []
    short = Link(Constant(8e6), 10 * MS, DropTail(packets=1))
    burst = noting(events, cwnd=4.0, interval_ns=5.0 * MS)
    run(flow(burst, attribution=base.SENT), 64, (short,))
    columns = ("now_ns", "end_ns", "sent", "acked", "lost")
    # 2 is missed when 5, sent at 22, is acknowledged at 43, and 3 when 6, sent at 42, is at 63.
    assert told(events, "on_interval", *columns)[0] == (63 * MS, 5 * MS, 4, 2, 2)


# Time-outs and the end


def slow_return(**fields: Any) -> tuple[result.Result, Events]:
    events: Events = []
    late = flow(noting(events, cwnd=2.0), return_delay_ns=10 * SECOND, **fields)
    return run(late, 11_000), events


def test_the_timer_backs_off_and_spurious_acks_are_no_goodput():
    found, events = slow_return()
    assert seen(found, result.T_TIMEOUT) == [(1000.0, 0, 2), (3000.0, 2, 2), (7000.0, 4, 2)]
    columns = ("packet", "lost", "timeout", "new_episode", "inflight", "prior_inflight")
    assert told(events, "on_loss", *columns)[0] == (0, 2, 1, 1, 0, 2)
    totals = dict(zip(result.TOTALS, found.totals[0].tolist(), strict=True))
    assert (totals["sent"], totals["delivered"], totals["acks"]) == (8, 8, 2)
    assert (totals["declared_lost"], totals["timeouts"], totals["spurious"]) == (6, 3, 2)
    assert totals["payload_bytes"] == 8 * 900
    # Of the six that the sender had given up, two have come back to it as spurious so far.
    assert found.goodput_bps()[0] == pytest.approx((8 - 2) * 900 * 8 / 11.0)
    assert told(events, "on_ack", "acked", "inflight", "delivered")[-1] == (1, 2, 2)


def test_nothing_is_sent_and_no_timer_fires_after_the_stop():
    found, _ = slow_return(stop_ns=999 * MS)
    assert found.totals[0, result.TIMEOUTS] == 0
    assert found.totals[0, result.SENT] == 2
    events: Events = []
    paced = noting(events, pacing_bps=4e6, interval_ns=3.0 * MS)
    found = run(flow(paced, stop_ns=6 * MS), 100)
    assert [time for time, _, _ in seen(found, result.T_SEND)] == [0.0, 2.0, 4.0]
    assert told(events, "on_interval", "now_ns") == [(3.0 * MS,)]
    assert len(told(events, "on_ack", "now_ns")) == 3


def test_totals_begin_with_the_measured_window_and_series_with_the_run():
    paced = flow("fixed", parameters={"rate_bps": 4e6})
    found = run(paced, 25, measure_from_ns=15 * MS, bin_ns=10 * MS)
    totals = dict(zip(result.TOTALS, found.totals[0].tolist(), strict=True))
    assert (totals["sent"], totals["delivered"], totals["acks"]) == (5, 6, 3)
    assert (totals["all_sent"], totals["all_delivered"]) == (13, 8)
    assert found.series.shape == (1, 3, len(result.SERIES))
    assert found.series[0, :, result.S_SENT].tolist() == [5, 5, 3]
    assert found.series[0, :, result.S_DELIVERED].tolist() == [0, 5, 3]
    assert found.series[0, :, result.S_PAYLOAD_BYTES].tolist() == [0, 4500, 2700]


# Faults of controllers


def _faulty(event: str, act: Any) -> Any:
    controller = noting([], cwnd=4.0)
    setattr(controller, event, act)
    return flow(controller, name="a")


def test_a_rate_that_is_not_a_number_ends_the_run():
    def spoil(state: Any, event: Any, constants: Any) -> None:
        state[base.PACING_BPS] = math.nan

    message = r"flow 'a' \(noting\): on_ack left pacing_bps = nan at 0.021 s"
    with pytest.raises(PolicyError, match=message):
        run(_faulty("on_ack", spoil), 30)


def test_a_hook_that_raises_ends_the_run():
    def spoil(state: Any, event: Any, constants: Any) -> None:
        raise ZeroDivisionError("by zero")

    with pytest.raises(PolicyError, match=r"on_ack raised ZeroDivisionError: by zero at 0.021 s"):
        run(_faulty("on_ack", spoil), 30)


def test_an_interval_must_have_a_length():
    with pytest.raises(PolicyError, match=r"init left interval_ns = -1 at 0 s"):
        run(flow(noting([], cwnd=1.0, interval_ns=-1.0)), 1)


def test_a_flow_without_window_and_rate_is_stopped(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(policy_checks, "MAX_INFLIGHT", 1000)
    with pytest.raises(PolicyError, match=r"1000 packets in flight, and cwnd = inf allows more"):
        simulate(Scenario((LINK,), (flow(noting([])),), SECOND))


# Conservation and theory


@hook
def _halve_init(state: Any, flow: Any, constants: Any) -> None:
    state[base.CWND] = flow[base.INITIAL_WINDOW]
    state[base.PACING_BPS] = np.inf


@hook
def _halve_ack(state: Any, ack: Any, constants: Any) -> None:
    state[base.CWND] += ack[base.A_ACKED] / state[base.CWND]


@hook
def _halve_loss(state: Any, loss: Any, constants: Any) -> None:
    if loss[base.L_NEW_EPISODE] > 0.0:
        state[base.CWND] = max(1.0, 0.5 * state[base.CWND])


class Halving(base.Controller):
    name = "halving"
    init = _halve_init
    on_ack = _halve_ack
    on_loss = _halve_loss


class PlainHalving(base.Controller):
    name = "halving"
    init = _halve_init.py_func
    on_ack = _halve_ack.py_func
    on_loss = _halve_loss.py_func


capacities = st.one_of(
    st.builds(Constant, st.floats(1e6, 5e7)),
    st.just(Stepped((0, 20 * MS, 50 * MS), (3e6, 2e7, 1e6), 70 * MS)),
    st.just(Opportunities((0, MS, MS, 5 * MS), 6 * MS)),
)
queues = st.one_of(
    st.builds(DropTail, st.integers(1, 40)),
    st.builds(lambda size: DropTail(bytes=size), st.integers(500, 60_000)),
    st.just(Red(3.0, 9.0, 30, weight=0.05)),
    st.just(CoDel(40, target_ns=2 * MS, interval_ns=20 * MS)),
)
losses = st.one_of(st.none(), st.builds(Bernoulli, st.floats(0.0, 0.05)))
losses |= st.just(GilbertElliott(0.02, 0.3))
some_links = st.builds(
    Link, capacities, st.integers(0, 20 * MS), queues, losses, st.sampled_from([0, MS])
)


@settings(deadline=None, max_examples=25)
@given(st.tuples(some_links, some_links), st.integers(0, 9), st.integers(1, 3))
def test_random_networks_keep_every_account(links: tuple[Link, Link], seed: int, ack_every: int):
    sizes = Sizes("uniform", low=40, high=1500)
    flows = (
        Flow(Halving, path=(0, 1), ack_every=ack_every),
        Flow(PlainHalving, path=(1,), start_ns=30 * MS, stop_ns=200 * MS),
        Source("onoff", 3e6, (1, 0), sizes, on_ns=20 * MS, off_ns=30 * MS),
        Source("poisson", 5e5, (0,), sizes, start_ns=7),
    )
    scenario = Scenario(links, flows, 300 * MS, seed, bin_ns=40 * MS)
    network = Network(scenario, trace=True)
    found = network.run()  # which also checks that packets sent are accounted for
    assert found.trace is not None
    for index in range(len(flows)):
        of_flow = found.trace[found.trace["flow"] == index]
        for kind, column in ((result.T_SEND, "all_sent"), (result.T_DELIVER, "all_delivered")):
            rows = of_flow[of_flow["kind"] == kind]
            assert len(rows) == found.totals[index, result.TOTALS.index(column)]
            assert (np.diff(rows["number"]) > 0).all()
        assert (np.diff(of_flow[of_flow["kind"] == result.T_DELIVER]["time_ns"]) > 0).all()
    assert found.waits.sum() == found.totals[:, result.DELIVERED].sum()
    assert found.series[:, :, result.S_SENT].sum() == found.totals[:, result.ALL_SENT].sum()
    waited = found.links[:, result.L_WAIT_SUM_NS]
    assert all(area >= wait for area, wait in zip(network.queue_area, waited, strict=True))
    again = simulate(scenario, trace=True).trace
    assert again is not None
    assert again.tobytes() == found.trace.tobytes()


def test_compiled_and_plain_hooks_do_the_same():
    lossy = Link(Constant(8e6), 5 * MS, DropTail(packets=10), Bernoulli(0.01))
    compiled = run(flow(Halving), 2000, (lossy,))
    plain = run(flow(PlainHalving), 2000, (lossy,))
    assert compiled.trace is not None
    assert plain.trace is not None
    assert compiled.trace.tobytes() == plain.trace.tobytes()
    assert compiled.totals[0, result.DECLARED_LOST] > 10


@pytest.mark.parametrize(
    "queue", [DropTail(packets=5), Red(2.0, 6.0, 20, weight=0.02), DropTail(packets=1000)]
)
def test_littles_law_holds_exactly(queue: Any):
    # The source stops early, so that the run ends with an empty network.
    source = Source("poisson", 7.5e6, sizes=Sizes("exponential", 1000.0), stop_ns=4 * SECOND)
    link = Link(Constant(8e6), 3 * MS, queue)
    network = Network(Scenario((link,), (source,), 6 * SECOND))
    found = network.run()
    assert found.in_network[0] == 0
    assert network.queue_area == [found.links[0, result.L_WAIT_SUM_NS]]
    assert network.queue_area == [found.totals[0, result.WAIT_SUM_NS]]


@pytest.mark.parametrize(
    ("sizes", "factor"), [(Sizes("fixed", 1000.0), 0.5), (Sizes("exponential", 1000.0), 1.0)]
)
def test_waiting_is_what_queueing_theory_says(sizes: Sizes, factor: float):
    # M/D/1 and M/M/1: mean wait = factor * rho / (mu - lambda), here at rho = 0.6.
    source = Source("poisson", 4.8e6, sizes=sizes)
    link = Link(Constant(8e6), 0, DropTail(packets=10**6))
    found = simulate(Scenario((link,), (source,), 80 * SECOND, seed=3, measure_from_ns=SECOND))
    expected = factor * 0.6 / (1000.0 - 600.0) * 1e9
    assert found.mean_wait_ns()[0] == pytest.approx(expected, rel=0.05)


def test_lost_packets_are_as_many_as_asked_for():
    losses = (Bernoulli(0.05), GilbertElliott(0.01, 0.2, 0.9, 0.01))
    shares = (0.05, (0.01 * 0.9 + 0.2 * 0.01) / 0.21)
    for loss, share in zip(losses, shares, strict=True):
        link = Link(Constant(3e7), 0, DropTail(packets=10), loss)
        source = Source("constant", 1.6e7, sizes=Sizes(mean=1000.0))
        found = simulate(Scenario((link,), (source,), 40 * SECOND))
        dropped = found.totals[0, result.DROPPED_LOSS] / found.totals[0, result.SENT]
        assert dropped == pytest.approx(share, rel=0.15)


def test_codel_keeps_a_standing_queue_near_its_target():
    waits = {}
    for queue in (DropTail(packets=200), CoDel(200)):
        link = Link(Constant(2e7), 10 * MS, queue)
        scenario = Scenario((link,), (Flow(Halving),), 20 * SECOND, measure_from_ns=5 * SECOND)
        found = simulate(scenario)
        waits[type(queue)] = found.mean_wait_ns()[0]
        assert found.goodput_bps()[0] > 0.85 * 2e7
    assert waits[CoDel] < 8 * MS
    assert waits[DropTail] > 4 * waits[CoDel]


@pytest.mark.quick
@given(st.integers(0, 2**60))
@settings(deadline=None)
def test_a_wait_falls_into_its_bin(wait: int):
    edges = result.wait_bin_edges()
    place = wait_bin(wait)
    assert edges[place] <= wait < edges[place + 1] or wait > 2**53
