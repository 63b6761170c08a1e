"""A check that a vector environment is so many single ones; Gymnasium has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode


def check_vector_env(
    make_single: Callable[[int], Any],
    make_vector: Callable[[int], Any],
    n: int,
    seed: int = 0,
    steps: int = 100,
) -> None:
    """Step `n` single environments and one vector environment alike; they must agree exactly.

    Args:
        make_single: makes environment number i, from i.
        make_vector: makes the vector environment, from n. It resets in the same step.
        n: environments.
        seed: of `reset`, and of the random actions.
        steps: how many; take more than an episode has, so that resets are checked.

    Raises:
        AssertionError: they differ; the message says in what, where and when.
    """
    vector, singles = make_vector(n), [make_single(i) for i in range(n)]
    _equal("num_envs", vector.num_envs, n, 0)
    mode = vector.metadata.get("autoreset_mode")
    assert mode is AutoresetMode.SAME_STEP, f"metadata: autoreset_mode is {mode}, not SAME_STEP"
    for name in ("observation_space", "action_space"):
        _equal(name, getattr(vector, f"single_{name}"), getattr(singles[0], name), 0)
    seen, infos = vector.reset(seed=seed)
    for i, single in enumerate(singles):
        alone, info = single.reset(seed=seed)
        _equal(f"observation of environment {i}", seen[i], alone, 0)
        _check_infos(infos, info, i, 0)
    space = singles[0].action_space
    space.seed(seed)
    for step in range(1, steps + 1):
        actions = np.stack([space.sample() for _ in range(n)])
        result = vector.step(actions)
        for i, single in enumerate(singles):
            _check_step(result, i, single, actions[i], step)
    vector.close()


def _check_step(result: Any, i: int, single: Any, action: Any, step: int) -> None:
    seen, rewards, terminations, truncations, infos = result
    alone, reward, terminated, truncated, info = single.step(action)
    _equal(f"reward of environment {i}", rewards[i], reward, step)
    _equal(f"termination of environment {i}", bool(terminations[i]), terminated, step)
    _equal(f"truncation of environment {i}", bool(truncations[i]), truncated, step)
    over = terminated or truncated
    _equal(f"_final_obs of environment {i}", over, bool(_flag(infos, "_final_obs", i)), step)
    if over:
        _equal(f"final_obs of environment {i}", infos["final_obs"][i], alone, step)
        _check_infos(infos["final_info"], info, i, step)
        alone, info = single.reset()
    _equal(f"observation of environment {i}", seen[i], alone, step)
    _check_infos(infos, info, i, step)


def _flag(infos: dict[str, Any], name: str, i: int) -> bool:
    return bool(infos[name][i]) if name in infos else False


def _check_infos(infos: dict[str, Any], info: dict[str, Any], i: int, step: int) -> None:
    for name, value in info.items():
        assert _flag(infos, f"_{name}", i), f"step {step}: info {name} of environment {i} is absent"
        _equal(f"info {name} of environment {i}", infos[name][i], value, step)


def _equal(what: str, ours: Any, theirs: Any, step: int) -> None:
    same = np.array_equal(ours, theirs) if isinstance(ours, np.ndarray) else ours == theirs
    assert same, f"step {step}: {what}: vector {ours}, single {theirs}"
