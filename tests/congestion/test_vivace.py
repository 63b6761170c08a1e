import math

import numpy as np
import pytest

from policies.congestion import base as b
from policies.congestion import trials as t
from policies.congestion import vivace as v
from policies.congestion import vivace_utility as u
from policies.congestion.base import CONTROLLERS
from sim.net.engine.run import simulate
from sim.net.links import Constant, DropTail, Link
from sim.net.scenario import SECOND, Flow, Scenario
from tests.congestion import pipe

Vivace = CONTROLLERS.get("vivace")
MS = 1e6


def trend_state():
    return np.zeros(len(u.TREND))


def trial(sent=100.0, lost=0.0, pacing=12e6, slope=0.0, mean=50 * MS, least=50 * MS, **columns):
    span = (sent - 1.0) * 12_000 * 1e9 / pacing
    return pipe.interval(
        sent=sent,
        acked=sent - lost,
        lost=lost,
        send_span_ns=span,
        pacing_bps=pacing,
        mean_rtt_ns=mean,
        least_rtt_ns=least,
        rtt_slope=slope,
        srtt_ns=mean,
        **columns,
    )


def utility(row, starting=False, state=None):
    state = trend_state() if state is None else state
    return u.utility(state, 0, row, 12_000.0, starting, Vivace.constants({}))


def test_utility_without_loss_or_growth_is_the_power_of_the_rate():
    # 100 packets of 12 kbit in 99 gaps and one packet time at 12 Mbit/s: x = 12.
    assert utility(trial()) == pytest.approx(12.0**0.9, rel=1e-12)


def test_utility_charges_loss_in_proportion_to_the_rate():
    assert utility(trial(lost=4.0)) == pytest.approx(12.0**0.9 - 11.35 * 12.0 * 0.04, rel=1e-12)


def test_utility_charges_a_steady_rise_but_no_fall():
    # A ramp of 0.02 ns/ns over 100 ms: 2 ms, so mean - least is 1 ms of 50.
    rise = trial(slope=0.02, least=49 * MS)
    assert utility(rise) == pytest.approx(12.0**0.9 - 900 * 12.0 * 0.02, rel=1e-12)
    assert utility(trial(slope=-0.02, least=49 * MS)) == pytest.approx(12.0**0.9, rel=1e-12)


def test_noise_is_no_growth():
    # Scatter (50 - 40) / sqrt 3 of 50: 0.115, more than the slope.
    assert utility(trial(slope=0.02, least=40 * MS)) == pytest.approx(12.0**0.9, rel=1e-12)


def test_starting_forgives_less_than_a_millisecond():
    row = trial(slope=0.005, least=49.75 * MS)
    assert utility(row) < 12.0**0.9 - 10.0
    assert utility(row, starting=True) == pytest.approx(12.0**0.9, rel=1e-12)


def test_a_trend_across_intervals_stands_out_where_one_interval_does_not():
    state = trend_state()
    noisy = {"slope": 0.01, "least": 45 * MS}
    for i in range(12):
        mean = (50 + 0.01 * (i % 2)) * MS
        assert utility(trial(mean=mean, **noisy), state=state) == pytest.approx(12.0**0.9)
    values = [utility(trial(mean=(50 + 3 * i) * MS, **noisy), state=state) for i in range(1, 4)]
    assert min(values) == pytest.approx(12.0**0.9 - 900 * 12.0 * 0.01)


@pytest.mark.parametrize(
    "row", [pipe.interval(), pipe.interval(sent=9.0, lost=9.0, pacing_bps=1e6)]
)
def test_utility_of_odd_rows_is_finite(row):
    assert math.isfinite(utility(row))


def probing_state(utilities, rates, centre=10e6):
    state, constants = pipe.start(Vivace, start_bps=centre)
    t.new_round(state, t.PROBING)
    state[t.FIRST], state[t.BEGUN], state[t.HEARD] = 0.0, v.TRIALS, v.TRIALS
    state[v.UTILITIES : v.UTILITIES + v.TRIALS] = utilities
    state[v.RATES : v.RATES + v.TRIALS] = rates
    return state, constants


UP, DOWN = 10.5e6, 9.5e6


def test_two_pairs_of_three_decide_for_more():
    # Differences of 0.1 in two agreeing pairs, over three pairs: 0.2 / 3 in 1e6 bits/s.
    state, _ = probing_state([8.1, 8.0, 8.0, 8.1, 8.0, 8.1], [UP, DOWN, DOWN, UP, UP, DOWN])
    v.heard_probing(state)
    change = 2.0**20 * (0.2 / 3) / 1e6 * 2.0**20
    assert change < 500_000.0
    assert state[t.MODE] == t.MOVING
    assert state[t.RATE] == pytest.approx(10.5e6 + 500_000.0)
    assert (state[t.UTILITY], state[t.UTILITY_BPS]) == (8.1, UP)


def test_less_needs_all_pairs():
    state, _ = probing_state([8.0, 8.1, 8.1, 8.0, 8.1, 8.0], [UP, DOWN, DOWN, UP, UP, DOWN])
    v.heard_probing(state)
    assert (state[t.MODE], state[t.RATE], state[v.ROUNDS]) == (t.PROBING, 10e6, 2.0)
    up, down = 105e6, 95e6
    rates = [up, down, down, up, up, down]
    state, _ = probing_state([1.0, 99.0, 99.0, 1.0, 1.0, 99.0], rates, centre=100e6)
    v.heard_probing(state)
    assert state[t.MODE] == t.MOVING
    # The gradient asks for 11 Mbit/s; the boundary is 5 % of 95.
    assert state[t.RATE] == pytest.approx(95e6 * 0.95)
    assert state[v.ALLOWANCE] == 1.0


def test_moving_amplifies_and_widens_the_boundary():
    state, _ = pipe.start(Vivace, start_bps=100e6)
    state[t.MODE], state[t.DIRECTION], state[v.ROUNDS] = t.MOVING, 1.0, 2.0
    state[t.UTILITY], state[t.UTILITY_BPS] = 50.0, 98e6
    v.heard_moving(state, 51.0, 100e6)
    change = 2.0**40 * 1.0 / 2e6 * 2.0**1.2  # rounds is 3 now: (3 + 1) / 2 = 2
    assert change < 5e6
    assert state[t.RATE] == pytest.approx(100e6 + change, rel=1e-12)
    v.heard_moving(state, 60.0, state[t.RATE])
    assert state[v.ALLOWANCE] == 1.0
    rate = state[t.RATE]
    v.heard_moving(state, 80.0, rate)
    assert state[t.RATE] == pytest.approx(rate * 1.10)


def test_moving_steps_back_when_the_gradient_turns():
    state, _ = pipe.start(Vivace, start_bps=100e6)
    state[t.MODE], state[t.DIRECTION], state[v.ROUNDS] = t.MOVING, 1.0, 5.0
    state[t.UTILITY], state[t.UTILITY_BPS] = 50.0, 98e6
    v.heard_moving(state, 49.0, 100e6)
    assert state[t.MODE] == t.PROBING
    assert state[t.RATE] == pytest.approx(100e6 - 2.0**40 / 2e6, rel=1e-12)


def test_an_undecided_probe_at_the_least_rate_leads_back_to_starting():
    rates = [0.525e6, 0.475e6] * 3
    state, _ = probing_state([1.0, 9.0] * 3, rates, centre=0.5e6)
    v.heard_probing(state)
    assert (state[t.MODE], state[t.RATE]) == (t.PROBING, 500_000.0)
    state, _ = probing_state([1.0, 9.0, 1.0, 9.0, 9.0, 1.0], rates, centre=0.5e6)
    v.heard_probing(state)
    assert (state[t.MODE], state[t.RATE]) == (t.STARTING, 500_000.0)


def test_probing_tries_both_sides_of_each_pair_and_then_waits():
    state, constants = pipe.start(Vivace, start_bps=10e6)
    t.new_round(state, t.PROBING)
    rates = []
    for i in range(8):
        Vivace.on_interval_start(state, pipe.interval(id=i, srtt_ns=40 * MS), constants)
        rates.append(float(state[b.PACING_BPS]))
    pairs = [sorted(rates[i : i + 2]) for i in range(0, 6, 2)]
    assert np.allclose(pairs, [[9.5e6, 10.5e6]] * 3)
    assert rates[6:] == [10e6, 10e6]
    assert state[b.INTERVAL_NS] == 10 * MS


@pytest.mark.parametrize(("mbps", "rtt_ms"), [(10, 30), (4, 60)])
def test_converges_on_a_pipe(mbps, rtt_ms):
    capacity = mbps * 1e6
    queue = int(capacity * rtt_ms / 1000 / pipe.BITS) + 1
    rates, lost = pipe.run(Vivace, capacity, rtt_ms * 1_000_000, queue, 30.0)
    assert pipe.late_mean(rates, 15.0) == pytest.approx(capacity, rel=0.15)
    assert lost < 0.05 * 30.0 * capacity / pipe.BITS


@pytest.mark.extensive
def test_uses_a_link_without_filling_its_queue():
    link = Link(Constant(30e6), 30_000_000, DropTail(packets=660))
    scenario = Scenario((link,), (Flow("vivace"),), 30 * SECOND, measure_from_ns=10 * SECOND)
    result = simulate(scenario)
    assert result.goodput_bps()[0] > 0.85 * 30e6
    assert result.mean_wait_ns()[0] < 10 * MS


@pytest.mark.parametrize("name", ["rate_exponent", "loss_coefficient"])
def test_negative_parameters_are_refused(name):
    with pytest.raises(ValueError, match="vivace"):
        Vivace.constants({name: -1.0})
