"""Episode rewards of PccLegacy on PCC-RL's links: what the unmodified simulator gives."""

from __future__ import annotations

import numpy as np
import pytest

from policies.congestion.aurora import WEIGHTS
from policies.congestion.networks import read_safetensors
from sim.net.envs.vector import PccLegacyVectorEnv

LINKS = 150


def episode_rewards(links: int, seed: int, policy) -> tuple[np.ndarray, np.ndarray]:
    """Return float64[links] episode rewards under `policy`, and the ideal ones."""
    environments = PccLegacyVectorEnv(links)
    seen, link = environments.reset(seed=seed)
    packets = link["bandwidth_bps"] / 12e3
    arrives = 1.0 - link["loss_probability"]
    ideal = 0.4 * (10.0 * packets * arrives - 2e3 * link["delay_s"] - 2e3 * (1.0 - arrives))
    total = np.zeros(links)
    for _ in range(400):
        seen, rewards, _, over, _ = environments.step(policy(seen))
        total += rewards
    assert over.all()
    return total, ideal


@pytest.mark.extensive
def test_constant_rate() -> None:
    rewards, ideal = episode_rewards(3000, 0, lambda seen: np.zeros((len(seen), 1)))
    error = rewards.std() / np.sqrt(LINKS)
    assert abs(rewards.mean() - 467.0) < 2.0 * error  # published for 150 links
    assert abs(ideal.mean() - 930.0) < 20.0


@pytest.mark.extensive
def test_published_weights() -> None:
    weights = read_safetensors(WEIGHTS)

    def act(seen: np.ndarray) -> np.ndarray:
        for i in range(2):
            seen = np.tanh(seen @ weights[f"w{i}"] + weights[f"b{i}"])
        return seen @ weights["w2"] + weights["b2"]

    # 1,500 links, ten times as many as the published interval rests on: links vary so much that
    # means over 150 of them stray from 650 to 800.
    rewards, ideal = episode_rewards(1500, 0, act)
    assert abs(rewards.mean() - 801.0) < 41.0
    assert abs(np.median(rewards / ideal) - 0.90) < 0.03
