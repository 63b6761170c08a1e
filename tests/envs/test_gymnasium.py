"""The faces keep the conventions of Gymnasium and Stable-Baselines3, and agree with each other."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import sim.net.envs
from sim.net.envs.checker import check_vector_env
from sim.net.envs.single import PccEnv, PccLegacyEnv
from sim.net.envs.vector import PccLegacyVectorEnv, PccVectorEnv

PAIRS = [(PccEnv, PccVectorEnv), (PccLegacyEnv, PccLegacyVectorEnv)]
IDS = tuple(sim.net.envs.IDS)


def trajectory(environment: Any, seed: int, steps: int = 30) -> np.ndarray:
    seen = [environment.reset(seed=seed)[0]]
    for action in np.random.default_rng(0).normal(size=(steps, 1)):
        observation, reward, *_ = environment.step(action)
        seen.append(np.append(observation, reward))
    return np.concatenate(seen)


def check_warnings(name: str, caught: list[warnings.WarningMessage]) -> None:
    """No warning, but that PCC-RL's action is unbounded, and stays so."""
    said = [str(warning.message).lower() for warning in caught]
    if name == "triptych/Pcc-v1":
        assert not said
    else:
        assert len(said) == 1
        assert "symmetric and normalized" in said[0]


@pytest.mark.parametrize("name", IDS)
def test_check_env(name: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(gymnasium.make(name, steps=20).unwrapped)
    check_warnings(name, caught)


@pytest.mark.parametrize("name", IDS)
def test_stable_baselines_check_env(name: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sb3_check_env(gymnasium.make(name, steps=20).unwrapped)
    check_warnings(name, caught)


@pytest.mark.parametrize(("single", "vector"), PAIRS)
@pytest.mark.parametrize("n", [1, 5, 96])
def test_single_ones_equal_a_vector(single: Any, vector: Any, n: int) -> None:
    check_vector_env(
        lambda i: single(index=i, steps=12), lambda count: vector(count, steps=12), n, 3, 40
    )


def test_checker_finds_a_difference() -> None:
    with pytest.raises(AssertionError, match="environment 1"):
        check_vector_env(
            lambda i: PccEnv(index=2 * i, steps=12), lambda n: PccVectorEnv(n, steps=12), 3
        )


@pytest.mark.parametrize("attribution", ["during", "sent"])
def test_both_attributions_agree(attribution: str) -> None:
    check_vector_env(
        lambda i: PccEnv(index=i, steps=30, attribution=attribution),
        lambda n: PccVectorEnv(n, steps=30, attribution=attribution),
        n=6,
        steps=70,
    )


@pytest.mark.parametrize("kind", [PccEnv, PccLegacyEnv])
def test_seeds(kind: Any) -> None:
    first, again, other = (trajectory(kind(), seed) for seed in (5, 5, 6))
    assert (first == again).all()
    assert (first != other).any()
    assert (trajectory(kind(index=1), 5) != first).any()


@pytest.mark.parametrize("kind", [PccEnv, PccLegacyEnv])
def test_episodes_go_on_after_a_seed(kind: Any) -> None:
    def links() -> list[dict[str, Any]]:
        environment = kind(steps=3)
        found = [environment.reset(seed=1)[1]]
        found.append(environment.reset()[1])
        for _ in range(3):
            environment.step(np.zeros(1))
        return [*found, environment.reset()[1]]

    assert links() == links()
    assert len({str(link) for link in links()}) == 3


def test_luck_of_an_episode_does_not_depend_on_actions() -> None:
    def link_after(action: float) -> dict[str, Any]:
        environment = PccEnv(steps=5)
        environment.reset(seed=3)
        for _ in range(5):
            environment.step(np.array([action]))
        return environment.reset()[1]

    assert link_after(-1.0) == link_after(1.0)


def test_end_of_an_episode() -> None:
    environment = PccEnv(steps=2)
    environment.reset(seed=0)
    assert environment.step(np.zeros(1))[2:4] == (False, False)
    assert environment.step(np.zeros(1))[2:4] == (False, True)
    with pytest.raises(RuntimeError, match="reset"):
        environment.step(np.zeros(1))


@pytest.mark.parametrize(("single", "vector"), PAIRS)
def test_autoreset_is_in_the_same_step(single: Any, vector: Any) -> None:
    environments = vector(3, steps=2)
    assert environments.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    environments.reset(seed=0)
    assert "final_obs" not in environments.step(np.zeros((3, 1)))[4]
    seen, _, terminated, truncated, infos = environments.step(np.zeros((3, 1)))
    assert truncated.all()
    assert not terminated.any()
    assert infos["_final_obs"].all()
    assert all((infos["final_obs"][i] != seen[i]).any() for i in range(3))
    assert (seen == environments.batch.empty).all()


def test_reset_mask_resets_only_these() -> None:
    environments = PccVectorEnv(3)
    environments.reset(seed=0)
    before = environments.step(np.zeros((3, 1)))[0]
    after, infos = environments.reset(options={"reset_mask": np.array([False, True, False])})
    assert (after[[0, 2]] == before[[0, 2]]).all()
    assert (after[1] == environments.batch.empty).all()
    assert infos["_bandwidth_bps"].tolist() == [False, True, False]


@pytest.mark.parametrize("name", IDS)
def test_make_vec(name: str) -> None:
    environments = gymnasium.make_vec(name, num_envs=3, steps=4)
    seen, _ = environments.reset(seed=0)
    assert seen in environments.observation_space
    assert environments.step(environments.action_space.sample())[1].shape == (3,)


def test_import_is_light() -> None:
    code = (
        "import sys, sim.net.envs\nprint({'numba', 'torch', 'stable_baselines3'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
