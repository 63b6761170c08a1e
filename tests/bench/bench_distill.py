"""Training steps of PPO with PCC-RL's parameters on PCC-RL's links."""

from __future__ import annotations

import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from policies.distill.learner import Learner, fixed_threads
from policies.distill.teacher_config import preset
from sim.net.envs.single import PccLegacyEnv

BATCHES = 10
PEER_LINKS = 8


@pytest.mark.bench("distill/train-steps", unit="env steps/s", better="higher")
def test_train_steps(measure) -> None:
    """Rollout and update, without evaluations."""
    learner = Learner(preset("legacy"))
    done = 0

    def batches() -> None:
        nonlocal done
        for _ in range(BATCHES):
            learner.practise(done)
            done += 1

    with fixed_threads():
        batches()
        measure(batches, rounds=5, amount=BATCHES * learner.config.batch_steps)


@pytest.mark.bench(
    "distill/train-steps", unit="env steps/s", better="higher", side="SB3 with DummyVecEnv"
)
def test_train_steps_peer(measure) -> None:
    """SB3's own rollouts over single environments with the same compiled kernel."""
    config = preset("legacy")
    links = DummyVecEnv([lambda i=i: PccLegacyEnv(index=i) for i in range(PEER_LINKS)])
    hidden = list(config.hidden)
    model = PPO(
        "MlpPolicy",
        links,
        learning_rate=config.learning_rate,
        n_steps=config.batch_steps // PEER_LINKS,
        batch_size=config.minibatch,
        n_epochs=config.epochs,
        ent_coef=config.entropy,
        vf_coef=config.value_weight,
        policy_kwargs={"net_arch": {"pi": hidden, "vf": hidden}},
        device="cpu",
        seed=0,
    )
    model.learn(config.batch_steps)
    measure(lambda: model.learn(config.batch_steps), rounds=2, amount=config.batch_steps)
