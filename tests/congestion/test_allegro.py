import math

import numpy as np
import pytest

from policies.congestion import allegro as a
from policies.congestion import base as b
from policies.congestion import trials as t
from policies.congestion.base import CONTROLLERS
from tests.congestion import pipe

Allegro = CONTROLLERS.get("allegro")
MS = 1e6


def trial(sent=100.0, lost=0.0, pacing=12e6, srtt=50 * MS, **columns):
    return pipe.interval(
        sent=sent,
        acked=sent - lost,
        lost=lost,
        send_span_ns=(sent - 1.0) * 12_000 * 1e9 / pacing,
        pacing_bps=pacing,
        mean_rtt_ns=srtt,
        srtt_ns=srtt,
        **columns,
    )


def utility(row, before=50 * MS, **parameters):
    constants = Allegro.constants(parameters)
    return a.utility(row, before, 12_000.0, constants[a.RTT_TOLERANCE], constants)


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(x))


def test_utility_by_hand():
    light = 1.0 - sigmoid(-1000 * (0.04 - 0.05))
    assert utility(trial(lost=4.0)) == pytest.approx(12 * 0.96 * light / 2 - 12 * 0.04, rel=1e-12)
    assert utility(trial(lost=20.0)) == pytest.approx(-12 * 0.2, rel=1e-6)


def test_round_trip_counts_only_beyond_the_tolerance():
    assert utility(trial(srtt=90 * MS), rtt_tolerance=1.0) == pytest.approx(6.0)
    calm = 1.0 - sigmoid(-200 * (1 - 50 / 51))
    assert utility(trial(srtt=51 * MS), rtt_tolerance=0.01) == pytest.approx(12 * calm, rel=1e-9)
    assert utility(trial(srtt=51 * MS), rtt_tolerance=0.05) == pytest.approx(6.0)
    assert utility(trial(srtt=25 * MS), rtt_tolerance=0.05) == pytest.approx(12.0)


@pytest.mark.parametrize("before", [0.0, math.nan, 1e-300, 1e300])
def test_utility_of_odd_rows_is_finite(before):
    for row in (pipe.interval(), pipe.interval(sent=9.0, lost=9.0, pacing_bps=1e6), trial()):
        assert math.isfinite(utility(row, before, rtt_tolerance=0.05))


def probing(utilities, epsilon=0.02, centre=10e6):
    state, constants = pipe.start(Allegro, start_bps=centre)
    t.new_round(state, t.PROBING)
    state[a.EPSILON] = epsilon
    up, down = centre * (1 + epsilon), centre * (1 - epsilon)
    state[a.UTILITIES : a.UTILITIES + 4] = utilities
    state[a.RATES : a.RATES + 4] = [up, down, down, up]
    a.heard_probing(state, constants)
    return state, constants


def test_agreeing_pairs_move_the_rate_by_epsilon_and_a_first_step():
    state, _ = probing([5.0, 4.0, 4.0, 6.0])
    assert state[t.MODE] == t.MOVING
    assert state[t.RATE] == pytest.approx(10e6 * 1.02 * 1.01)
    assert (state[a.EPSILON], state[t.UTILITY]) == (0.01, 5.5)
    state, _ = probing([4.0, 5.0, 6.0, 4.0])
    assert state[t.RATE] == pytest.approx(10e6 * 0.98 * 0.99)


def test_disagreeing_pairs_widen_epsilon_up_to_its_limit():
    state, _ = probing([5.0, 4.0, 6.0, 4.0])
    assert (state[t.MODE], state[t.RATE]) == (t.PROBING, 10e6)
    assert state[a.EPSILON] == pytest.approx(0.03)
    assert probing([5.0, 4.0, 6.0, 4.0], epsilon=0.05)[0][a.EPSILON] == 0.05


def test_moving_grows_its_steps_and_returns_when_utility_falls():
    state, constants = probing([5.0, 4.0, 4.0, 6.0])
    rate = state[t.RATE]
    for n, value in ((2, 6.0), (3, 7.0)):
        a.heard_moving(state, value, rate, constants)
        assert state[t.RATE] == pytest.approx(rate * (1 + 0.01 * n))
        last, rate = rate, state[t.RATE]
    a.heard_moving(state, 6.9, rate, constants)
    assert (state[t.MODE], state[t.RATE]) == (t.PROBING, last)


def test_starting_doubles_every_interval_and_returns_to_the_best():
    state, constants = pipe.start(Allegro)
    rates = []
    for i in range(4):
        Allegro.on_interval_start(state, pipe.interval(id=i, srtt_ns=100 * MS), constants)
        rates.append(float(state[b.PACING_BPS]))
        assert 170 * MS <= state[b.INTERVAL_NS] < 220 * MS
        assert state[b.INTERVAL_PACKETS] == 10.0
    assert np.allclose(rates, [240e3, 480e3, 960e3, 1920e3])
    for i, lost in enumerate((0.0, 0.0, 50.0)):
        row = trial(pacing=rates[i], lost=lost, id=i)
        Allegro.on_interval(state, row, constants)
    assert (state[t.MODE], state[b.PACING_BPS]) == (t.PROBING, rates[1])
    # The interval that was under way is no trial.
    Allegro.on_interval(state, trial(pacing=rates[3], id=3), constants)
    assert state[t.HEARD] == 0.0


def test_converges_on_a_pipe():
    rates, lost = pipe.run(Allegro, 10e6, 30_000_000, 25, 30.0)
    assert pipe.late_mean(rates, 15.0) == pytest.approx(10e6, rel=0.1)
    assert lost < 0.08 * 30.0 * 10e6 / pipe.BITS


def test_least_rate_must_be_positive():
    with pytest.raises(ValueError, match="allegro"):
        Allegro.constants({"least_bps": 0.0})
