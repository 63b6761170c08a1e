"""Rings that start with room for one row and grow give what rings with plenty of room give."""

import numpy as np
import pytest
from hypothesis import given, settings

from policies.congestion.base import SENT
from sim.net.engine import build, simulate
from sim.net.links import CoDel, Constant, DropTail, Link
from sim.net.scenario import Flow, Scenario
from tests.net.random_scenarios import scenarios
from tests.net.test_engines import FIELDS, RELAXED

SIZES = ("FIRST_PACKETS", "FIRST_QUEUE", "FIRST_TRACE")


@pytest.fixture(scope="module")
def narrow():
    """Make every ring start with one row while it is open."""

    class Narrow:
        def __enter__(self):
            self.kept = {name: getattr(build, name) for name in SIZES}
            for name in SIZES:
                setattr(build, name, 1)

        def __exit__(self, *_):
            for name, value in self.kept.items():
                setattr(build, name, value)

    return Narrow


def assert_same(scenario, narrow):
    wide = simulate(scenario, trace=True)
    with narrow():
        grown = simulate(scenario, trace=True)
    assert grown.trace.tobytes() == wide.trace.tobytes()
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(grown, field), getattr(wide, field), field)


@pytest.mark.extensive
@settings(max_examples=40, **RELAXED)
@given(scenario=scenarios())
def test_growing_changes_nothing(scenario, narrow):
    assert_same(scenario, narrow)


def test_thousands_of_packets_in_every_ring(narrow):
    long = Link(Constant(1e8), 300_000_000, DropTail(bytes=4_000_000))
    slow = Link(Constant(2e7), 50_000_000, CoDel(3000, 2_000_000_000, 2_000_000_000))
    flows = (
        Flow("fixed", (0, 1), start_rate_bps=6e7, return_delay_ns=200_000_000),
        Flow("vivace", (0,), start_rate_bps=5e7, attribution=SENT),
    )
    scenario = Scenario((long, slow), flows, 3 * 10**9, bin_ns=10**8)
    assert_same(scenario, narrow)
    assert simulate(scenario).totals[0, 0] > 10_000
