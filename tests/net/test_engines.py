"""The packet engine equals the reference engine, event for event and bit for bit."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from sim.net.engine import Session, simulate
from sim.net.reference.network import simulate as simulate_reference
from tests.net.random_scenarios import scenarios

FIELDS = ("totals", "waits", "links", "series", "in_network")
RELAXED = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}


def first_difference(a, b):
    """Return a text about the first record in which two traces differ."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if not all(np.array_equal(x[n], y[n], equal_nan=True) for n in a.dtype.names):
            return f"record {i}:\n  packet    {x}\n  reference {y}"
    return f"lengths {len(a)} and {len(b)}"


def assert_equal(scenario):
    """Check that both engines say the same of a scenario."""
    ours, theirs = simulate(scenario, trace=True), simulate_reference(scenario, trace=True)
    same = len(ours.trace) == len(theirs.trace) and ours.trace.tobytes() == theirs.trace.tobytes()
    assert same, first_difference(ours.trace, theirs.trace)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(ours, field), getattr(theirs, field), field)


@settings(max_examples=12, **RELAXED)
@given(scenarios())
def test_engines_agree(scenario):
    assert_equal(scenario)


@pytest.mark.extensive
@pytest.mark.timeout(1500)
@settings(max_examples=200, **RELAXED)
@given(scenarios())
def test_engines_agree_at_length(scenario):
    assert_equal(scenario)


@pytest.mark.extensive
@settings(max_examples=30, **RELAXED)
@given(scenarios())
def test_running_in_pieces_changes_nothing(scenario):
    whole = simulate(scenario, trace=True)
    session = Session(scenario, trace=True)
    for time_ns in range(0, scenario.duration_ns, 37_000_001):
        session.run_until(time_ns)
    session.run_until(scenario.duration_ns)
    pieces = session.result()
    assert pieces.trace.tobytes() == whole.trace.tobytes()
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(pieces, field), getattr(whole, field), field)


@settings(max_examples=8, **RELAXED)
@given(scenarios())
def test_trace_and_totals_tell_the_same(scenario):
    with_trace, without = simulate(scenario, trace=True), simulate(scenario)
    assert without.trace is None
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(with_trace, field), getattr(without, field), field)
