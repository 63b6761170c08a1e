"""Configurations and actions that cannot be: clear errors that name the field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sim.net.envs.config import EnvConfig
from sim.net.envs.single import PccEnv, PccLegacyEnv
from sim.net.envs.vector import PccVectorEnv
from sim.net.problems import ScenarioError

WRONG = {
    "features": ("latency", "send ratio"),
    "history": 0,
    "steps": 0,
    "delta": 1.5,
    "packet_bytes": 0,
    "bandwidth_bps": (6e6, 1e6),
    "delay_s": (-0.1, 0.5),
    "queue_log": (0.0, 99.0),
    "loss": (0.0, 1.0),
    "start_share": 0.5,
    "rate_bps": (float("nan"), 1e6),
    "interval_rtts": 0.0,
    "interval_packets": -1,
    "first_interval_delays": float("inf"),
    "warmup_intervals": 1.5,
    "attribution": "after",
    "throughput_weight": 0.0,
    "latency_weight": -1.0,
    "loss_weight": float("nan"),
    "reward_scale": 0.0,
    "reward_floor": 1.0,
}


@pytest.mark.parametrize("field", WRONG)
@pytest.mark.parametrize("kind", [PccEnv, PccLegacyEnv])
def test_wrong_fields_are_named(field: str, kind: Any) -> None:
    with pytest.raises(ScenarioError, match=field):
        kind(**{field: WRONG[field]})


def test_near_feature_is_offered() -> None:
    with pytest.raises(ScenarioError, match="did you mean 'send ratio'"):
        PccEnv(features=("send ration",))


def test_unknown_field() -> None:
    with pytest.raises(TypeError, match="histori"):
        PccEnv(histori=3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_actions_that_are_no_numbers(value: float) -> None:
    environments = PccVectorEnv(4)
    environments.reset(seed=0)
    actions = np.zeros((4, 1))
    actions[2] = value
    with pytest.raises(ValueError, match=r"action\[2\]"):
        environments.step(actions)
    with pytest.raises(ValueError, match="shape"):
        environments.step(np.zeros(4))


def test_legacy_defaults_are_pcc_rls() -> None:
    environment = PccLegacyEnv()
    known = environment.batch.known[0]
    assert (known["bandwidth_low"], known["bandwidth_high"]) == (100.0, 500.0)
    assert (known["rate_low"], known["rate_high"]) == (40.0, 1000.0)
    assert environment.observation_space.shape == (30,)
    assert float(environment.action_space.high[0]) == np.float32(1e12)  # type: ignore[attr-defined]


def test_a_configuration_can_be_given_whole() -> None:
    config = EnvConfig(features=("loss",), history=3)
    assert PccEnv(config, steps=7).batch.config == EnvConfig(features=("loss",), history=3, steps=7)
