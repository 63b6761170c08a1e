"""A policy that is stuck at full speed, as they are early in training, costs little."""

import numpy as np

from sim.net.envs.config import EnvConfig
from sim.net.envs.vector import PccVectorEnv

LINKS = 8


def test_rate_and_memory_stay_bounded() -> None:
    environments = PccVectorEnv(LINKS)
    _, told = environments.reset(seed=1)
    highest = EnvConfig().most_share * told["bandwidth_bps"]
    for _ in range(350):
        _, rewards, _, _, infos = environments.step(np.ones((LINKS, 1), np.float32))
        assert np.isfinite(rewards).all()
        assert (infos["rate_bps"] <= highest * (1.0 + 1e-12)).all()
    assert (infos["rate_bps"] >= highest * (1.0 - 1e-12)).all()
    # At ten times 6 Mbit/s, over the second and half of a round trip and 3,000 packets of queue.
    assert sum(tape.nbytes for tape in environments.batch.room.tapes) < 50_000_000
