"""Steps of 512 environments at once on PCC-RL's links, under a policy that keeps queues short."""

from __future__ import annotations

import numpy as np
import pytest

from sim.net.envs.vector import PccLegacyVectorEnv, PccVectorEnv
from tests.envs.pcc_rl_model import Link, PccRlModel

LINKS, STEPS = 512, 200


def steps(environments: PccVectorEnv, count: int) -> None:
    """Slow down where latency ratio or send ratio is above 1.15, else speed up."""
    seen = environments.batch.observations
    for _ in range(count):
        worst = seen.reshape(LINKS, -1, 3)[:, -1, 1:].max(axis=1)
        seen = environments.step(np.clip(4.0 * (1.15 - worst), -1.0, 0.4)[:, None])[0]


def warm(kind: type[PccVectorEnv]) -> PccVectorEnv:
    """Return environments in the midst of their first episodes."""
    environments = kind(LINKS)
    environments.reset(seed=0)
    steps(environments, 100)
    return environments


@pytest.mark.bench("env/vec512", unit="env steps/s", better="higher")
def test_vec512(measure) -> None:
    """`triptych/Pcc-v1`, Gymnasium's vector face."""
    environments = warm(PccVectorEnv)
    measure(lambda: steps(environments, STEPS), rounds=5, amount=LINKS * STEPS)


@pytest.mark.bench("env/vec512", unit="env steps/s", better="higher", side="heap of Python tuples")
def test_vec512_peer(measure) -> None:
    """The plain transcription of PCC-RL's simulator, one link after the other."""
    draws = np.random.default_rng(0)

    def model() -> PccRlModel:
        bandwidth, queue = draws.uniform(100, 500), 1 + int(np.exp(draws.uniform(0, 8)))
        link = Link(bandwidth, draws.uniform(0.05, 0.5), queue, draws.uniform(0, 0.05))
        return PccRlModel(link, draws.uniform(0.3, 1.5) * bandwidth, draws.random)

    def episodes() -> None:
        for _ in range(16):
            episode = model()
            for action in draws.normal(size=100):
                episode.step(float(action))

    measure(episodes, rounds=2, amount=1600)


@pytest.mark.bench("env/vec512_legacy", unit="env steps/s", better="higher")
def test_vec512_legacy(measure) -> None:
    """`triptych/PccLegacy-v0`."""
    environments = warm(PccLegacyVectorEnv)
    measure(lambda: steps(environments, STEPS), rounds=5, amount=LINKS * STEPS)
