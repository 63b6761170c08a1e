"""PccShared: alone it is Pcc-v1's link in the general engine, and competitors take their share."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import sim.net.envs  # noqa: F401 - registers the ids
from policies.registry import UnknownNameError
from sim.net.envs.shared import PccSharedEnv


def mean_throughput_share(competitors: tuple[str, ...]) -> float:
    fields = {"queue_log": (4.0, 4.0), "loss": (0.0, 0.0), "delay_s": (0.02, 0.02)}
    environment = PccSharedEnv(competitors, start_share=(0.9, 0.9), steps=150, **fields)
    link = environment.reset(seed=0)[1]
    shares = [
        environment.step(np.zeros(1))[4]["throughput_bps"] / link["bandwidth_bps"]
        for _ in range(150)
    ]
    return float(np.mean(shares))


def test_check_env() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("triptych/PccShared-v1", steps=10).unwrapped)


def test_alone_it_has_the_link() -> None:
    assert abs(mean_throughput_share(()) - 0.9) < 0.01


def test_competitors_take_some() -> None:
    assert 0.2 < mean_throughput_share(("cubic", "reno")) < 0.89


def test_same_seed_same_trajectory() -> None:
    def run(seed: int) -> list[float]:
        environment = PccSharedEnv(steps=20)
        environment.reset(seed=seed)
        return [environment.step(np.array([0.5]))[1] for _ in range(20)]

    assert run(1) == run(1) != run(2)


def test_errors() -> None:
    environment = PccSharedEnv(("cubik",), steps=3)
    with pytest.raises(UnknownNameError, match="cubic"):
        environment.reset(seed=0)
    with pytest.raises(RuntimeError, match="reset"):
        environment.step(np.zeros(1))
    environment = PccSharedEnv((), steps=3)
    environment.reset(seed=0)
    with pytest.raises(ValueError, match="action"):
        environment.step(np.array([np.nan]))
