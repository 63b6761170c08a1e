"""The streams: uniform, the same in compiled code and in Python, separate for each purpose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from policies.congestion import hooks
from policies.congestion.base import OWN, SEED
from sim.net import luck
from sim.net.links import Constant, DropTail, Link
from sim.net.scenario import Flow, Scenario, Source


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**63 - 1))
def test_python_and_compiled_code_draw_the_same(seed: int):
    states, stream = np.array([0, seed], np.uint64), luck.Stream(seed)
    compiled = [luck.uniform(states, 1) for _ in range(20)]
    assert compiled == [stream.uniform() for _ in range(20)]
    assert states[0] == 0
    assert all(0.0 <= u < 1.0 for u in compiled)


def test_known_numbers_of_splitmix64():
    # The first outputs of the published reference code for seed 1234567.
    published = (6457827717110365317, 3203168211198807973, 9817491932198370423)
    stream = luck.Stream(1234567)
    for number in published:
        assert stream.uniform() == (number >> 11) * 2.0**-53


def test_controllers_draw_from_the_same_generator():
    state = np.zeros(OWN)
    state[SEED] = 99.0
    stream = luck.Stream(99)
    assert [hooks.draw(state) for _ in range(10)] == [stream.uniform() for _ in range(10)]


def test_draws_are_uniform_and_uncorrelated():
    stream = luck.Stream(7)
    u = np.array([stream.uniform() for _ in range(100_000)])
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 0.01


def _scenario(controller: str = "fixed", seed: int = 1, name: str = "a") -> Scenario:
    link = Link(Constant(1e6), 0, DropTail(packets=10))
    flows = (Flow(controller, path=(0,)), Source("poisson", 1e5, path=(1,)))
    return Scenario((link, link), flows, 10**9, seed=seed, identity={"name": name})


def test_every_stream_has_a_seed_of_its_own():
    seeds = luck.seeds(_scenario())
    assert set(seeds) == {*luck.LINK_PURPOSES, *luck.FLOW_PURPOSES}
    values = np.concatenate(list(seeds.values()))
    assert len(values) == 2 * 7
    assert len(set(values.tolist())) == len(values)
    assert max(seeds["controller"]) < 2**52


def test_seeds_hang_on_seed_and_identity_alone():
    first = luck.seeds(_scenario())
    for other in (_scenario(seed=2), _scenario(name="b")):
        seeds = luck.seeds(other)
        assert all((first[purpose] != seeds[purpose]).all() for purpose in first)
    longer = Scenario(_scenario().links, (*_scenario().flows, Flow("fixed")), 5, 1, {"name": "a"})
    again = luck.seeds(longer)
    for purpose in luck.FLOW_PURPOSES:
        assert again[purpose][:2] == pytest.approx(first[purpose], abs=0)
