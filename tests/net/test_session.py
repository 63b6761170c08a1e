"""Runs that are steered from outside, and corners that once went wrong."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from policies.congestion.base import (
    CWND,
    I_ID,
    I_SENT,
    INTERVAL_NS,
    INTERVAL_PACKETS,
    PACING_BPS,
    SENT,
    STATE,
    Controller,
)
from policies.congestion.hooks import hook
from sim.net.engine import Session, simulate
from sim.net.links import Bernoulli, Constant, DropTail, GilbertElliott, Link
from sim.net.problems import PolicyError, ScenarioError
from sim.net.reference.network import simulate as simulate_reference
from sim.net.result import T_ACK, T_TIMEOUT
from sim.net.scenario import Flow, Scenario, Source

MS = 1_000_000
SECOND = 1_000_000_000


@hook
def _init(state: Any, flow: Any, constants: Any) -> None:
    state[CWND] = constants[0]
    state[PACING_BPS] = math.inf
    state[INTERVAL_NS] = 1.0
    state[INTERVAL_PACKETS] = 1.0


@hook
def _ignore(state: Any, event: Any, constants: Any) -> None:
    pass


class EveryPacket(Controller):
    """A window, and a monitor interval for each packet."""

    name: ClassVar[str] = "every packet"
    state: ClassVar[tuple[str, ...]] = STATE
    parameters: ClassVar[Mapping[str, float]] = {"cwnd": 40.0}
    attribution: ClassVar[str] = SENT
    init = _init
    on_interval = _ignore
    on_interval_start = _ignore


def bursty(seed, cwnd=400.0, duration_ns=2 * SECOND):
    link = Link(Constant(1e8), 5 * MS, DropTail(packets=1000), GilbertElliott(0.003, 0.004))
    flow = Flow(EveryPacket, parameters={"cwnd": cwnd})
    return Scenario((link,), (flow,), duration_ns, seed=seed)


def test_every_report_is_shown_though_one_ack_settles_many():
    session, rows = Session(bursty(3, 40.0, SECOND)), []
    while (row := session.run_until_interval(0)) is not None:
        rows.append(row)
    assert [row[I_ID] for row in rows] == list(range(len(rows)))
    assert len(rows) > 100
    watched, alone = session.result(), simulate(bursty(3, 40.0, SECOND))
    # All but the packets of the intervals that were still open at the end.
    assert 0 <= watched.totals[0, 0] - sum(row[I_SENT] for row in rows) <= 80
    # Looking at it changes nothing.
    np.testing.assert_array_equal(watched.totals, alone.totals)


@pytest.mark.parametrize("attribution", ["during", "sent"])
def test_the_row_of_a_report_outlives_the_start_of_the_next_interval(attribution):
    link = Link(Constant(1e7), 10 * MS, DropTail(packets=50))
    flow = Flow("vivace", attribution=attribution)
    session = Session(Scenario((link,), (flow,), 2 * SECOND))
    rows = [session.run_until_interval(0) for _ in range(10)]
    assert [row[I_ID] for row in rows if row is not None] == list(range(10))
    assert all(row is not None and row[I_SENT] > 0 for row in rows)


@pytest.mark.parametrize("seed", range(20))
def test_the_trace_has_room_for_losses_and_reports_at_once(seed):
    found = simulate(bursty(seed), trace=True)
    assert found.trace is not None
    assert len(found.trace) > found.totals[0, 0]


def test_time_outs_that_are_switched_off_stay_within_the_cap():
    link = Link(Constant(1e8), 5 * MS, DropTail(packets=100), GilbertElliott(0.02, 1e-9))
    flow = Flow("reno", min_rto_ns=10**17)
    scenario = Scenario((link,), (flow,), 200 * SECOND, bin_ns=SECOND)
    ours = simulate(scenario, trace=True)
    times = ours.trace["time_ns"]
    assert times.min() >= 0
    fired = times[ours.trace["kind"] == T_TIMEOUT]
    assert np.diff(fired).tolist()[0] == 60 * SECOND
    assert ours.trace.tobytes() == simulate_reference(scenario, trace=True).trace.tobytes()


def test_bbr_probes_the_rtt_every_ten_seconds_where_the_bdp_is_large():
    # An empty queue gives the same least RTT again and again; that must not put ProbeRTT off.
    link = Link(Constant(1e8), 50 * MS, DropTail(packets=1600))
    found = simulate(Scenario((link,), (Flow("bbr"),), 45 * SECOND), trace=True)
    acks = found.trace[found.trace["kind"] == T_ACK]
    probing = acks["time_ns"][(acks["cwnd"] <= 4.0) & (acks["time_ns"] > 2 * SECOND)]
    starts = probing[np.diff(probing, prepend=0) > SECOND] / 1e9
    assert len(starts) == 4
    assert (np.diff(starts) > 10.0).all()
    assert (np.diff(starts) < 11.0).all()


def test_a_session_refuses_what_is_not_there():
    link = Link(Constant(1e6), MS, DropTail(packets=5), Bernoulli(0.0))
    flows = (Flow("reno"), Source("constant", 1e5))
    session = Session(Scenario((link,), flows, SECOND))
    for index in (-1, 1, 7):
        with pytest.raises(ScenarioError, match=f"flow {index} is not one of"):
            session.set_rate(index, 1e6)
    with pytest.raises(ScenarioError, match="'flow' \\(reno\\) has no monitor intervals"):
        session.run_until_interval(0)
    for rate in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(PolicyError, match="rate_bps must be > 0 and finite"):
            session.set_rate(0, rate)


@hook
def _miscount(state: Any, event: Any, constants: Any) -> None:
    state[len(STATE) + 1] = 7.0


def test_a_hook_that_writes_beyond_its_state_is_found_out():
    class Sloppy(EveryPacket):
        name = "sloppy"
        on_ack = _miscount

    link = Link(Constant(1e6), MS, DropTail(packets=50))
    with pytest.raises(PolicyError, match="'flow' \\(sloppy\\): a hook wrote beyond the columns"):
        simulate(Scenario((link,), (Flow(Sloppy),), SECOND))


def test_time_does_not_run_backwards():
    link = Link(Constant(1e6), MS, DropTail(packets=5))
    session = Session(Scenario((link,), (Flow("reno"),), SECOND))
    session.run_until(SECOND // 2)
    session.run_until(SECOND // 4)
    assert session.now_ns == SECOND // 2


def test_a_queue_that_would_outlast_the_ages_is_refused():
    link = Link(Constant(1000.0), MS, DropTail(packets=10**9), name="slow")
    with pytest.raises(ScenarioError, match="'slow': a full queue would take over"):
        Scenario((link,), (Flow("reno"),), SECOND)
