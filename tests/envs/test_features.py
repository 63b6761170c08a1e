"""Observations stay in bounds whatever is done; actions and rewards mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.net.envs.legacy_features import NAMES as LEGACY_NAMES
from sim.net.envs.pcc_features import NAMES
from sim.net.envs.vector import PccLegacyVectorEnv, PccVectorEnv

SEEDS, SPREADS = st.integers(0, 10**6), st.sampled_from([0.0, 0.3, 1.0, 100.0])


def check_bounds(environments: PccVectorEnv, seed: int, spread: float, bias: float) -> None:
    seen, _ = environments.reset(seed=seed)
    draws = np.random.default_rng(seed)
    for _ in range(60):
        assert seen.dtype == np.float32
        assert np.isfinite(seen).all()
        assert seen in environments.observation_space
        actions = draws.normal(size=(environments.num_envs, 1)) * spread + bias
        seen, rewards, *_ = environments.step(actions)
        assert np.isfinite(rewards).all()


@settings(max_examples=20, deadline=None)
@given(SEEDS, SPREADS, st.sampled_from([-1.0, 0.0, 1.0]), st.sampled_from(["during", "sent"]))
def test_bounds(seed: int, spread: float, bias: float, attribution: str) -> None:
    wide = {"bandwidth_bps": (1e4, 1e8), "log_bandwidth": True, "delay_s": (1e-4, 0.5)}
    environments = PccVectorEnv(
        6,
        features=NAMES,
        steps=25,
        attribution=attribution,
        log_delay=True,
        loss=(0.0, 0.9),
        rate_bps=(1e3, 2e8),
        delta=0.3,
        **wide,
    )
    check_bounds(environments, seed, spread, bias)


@settings(max_examples=15, deadline=None)
@given(SEEDS, SPREADS, st.sampled_from([-1.0, 0.0, 1.0]))
def test_bounds_of_the_legacy_id(seed: int, spread: float, bias: float) -> None:
    check_bounds(PccLegacyVectorEnv(6, features=LEGACY_NAMES, steps=25), seed, spread, bias)


def test_an_action_and_its_opposite_cancel() -> None:
    environments = PccVectorEnv(8)
    environments.reset(seed=0)
    before = environments.batch.state["rate"].copy()
    for action in (0.7, -0.7, -1.0, 1.0):
        environments.step(np.full((8, 1), action))
    np.testing.assert_allclose(environments.batch.state["rate"], before, rtol=1e-12)


def test_actions_beyond_the_box_are_clipped() -> None:
    rates = []
    for action in (1.0, 5.0):
        environments = PccVectorEnv(4)
        environments.reset(seed=0)
        rates.append(environments.step(np.full((4, 1), action))[4]["rate_bps"])
    assert (rates[0] == rates[1]).all()


@pytest.mark.parametrize("attribution", ["during", "sent"])
def test_ideal_reward_is_one(attribution: str) -> None:
    fields = {"attribution": attribution, "delta": 0.5, "steps": 400, "history": 1}
    environments = PccVectorEnv(100, start_share=(1.0, 1.0), queue_log=(5.0, 8.0), **fields)
    environments.reset(seed=0)
    state, total = environments.batch.state, np.zeros(100)
    for _ in range(200):
        total += environments.step(np.zeros((100, 1)))[1]
    assert (state["limit"] > 100).all()
    assert abs(total.mean() / 200 - 1.0) < 0.02


def test_receive_rate_has_no_bias() -> None:
    environments = PccVectorEnv(200, start_share=(0.5, 0.5), loss=(0.0, 0.0), interval_packets=4)
    environments.reset(seed=0)
    ratios = []
    for _ in range(50):
        infos = environments.step(np.zeros((200, 1)))[4]
        ratios.append(infos["throughput_bps"] / infos["rate_bps"])
    assert abs(np.mean(ratios[5:]) - 1.0) < 0.005
