"""The face for Stable-Baselines3: its conventions, and that PPO learns on it at all."""

from __future__ import annotations

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

from sim.net.envs.stable import PccLegacyVecEnv, PccVecEnv
from sim.net.envs.vector import PccVectorEnv


def test_steps_as_the_gymnasium_face() -> None:
    ours, theirs = PccVecEnv(5, steps=7), PccVectorEnv(5, steps=7)
    ours.seed(4)
    assert (ours.reset() == theirs.reset(seed=4)[0]).all()
    for action in np.random.default_rng(0).uniform(-1, 1, (20, 5, 1)):
        seen, rewards, dones, infos = ours.step(action)
        their_seen, their_rewards, _, truncated, their_infos = theirs.step(action)
        assert (seen == their_seen).all()
        assert (rewards == their_rewards.astype(np.float32)).all()
        assert (dones == truncated).all()
        for i in np.flatnonzero(dones):
            assert (infos[i]["terminal_observation"] == their_infos["final_obs"][i]).all()
            assert infos[i]["TimeLimit.truncated"]
        assert all(not infos[i] for i in np.flatnonzero(~dones))


def test_attributes() -> None:
    environments = PccVecEnv(3)
    assert environments.get_attr("render_mode") == [None] * 3
    assert environments.env_is_wrapped(VecMonitor, indices=[0, 1]) == [False, False]
    assert not environments.has_attr("nothing")
    with pytest.raises(AttributeError, match="configuration"):
        environments.set_attr("delta", 1.0)
    with pytest.raises(AttributeError, match="nothing"):
        environments.env_method("nothing")


@pytest.mark.parametrize("kind", [PccVecEnv, PccLegacyVecEnv])
def test_ppo_learns_and_is_reproducible(kind: type[PccVecEnv]) -> None:
    def parameters() -> np.ndarray:
        environments = VecMonitor(kind(8, steps=20))
        model = PPO("MlpPolicy", environments, n_steps=32, batch_size=64, seed=1, device="cpu")
        model.learn(512)
        assert len(model.ep_info_buffer or ()) >= 8
        return np.concatenate([p.detach().numpy().ravel() for p in model.policy.parameters()])

    first = parameters()
    assert np.isfinite(first).all()
    assert (first == parameters()).all()
