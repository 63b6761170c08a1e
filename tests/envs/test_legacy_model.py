"""The compiled PccLegacy kernel gives PCC-RL's trajectories, number for number."""

from __future__ import annotations

import numpy as np
import pytest

from sim.net.envs import legacy_kernel
from sim.net.envs.batch import Batch
from sim.net.envs.config import EnvConfig
from sim.net.envs.draws import uniform
from tests.envs.pcc_rl_model import Link, PccRlModel


def model_of(batch: Batch, i: int, rate: float) -> PccRlModel:
    """Return the plain model of the link that environment `i` has just drawn."""
    row, drawn = batch.state[i], 0

    def draw() -> float:
        nonlocal drawn
        drawn += 1
        return uniform(row["losses"], drawn)

    packets = round(float(row["most"] * row["bandwidth"]))
    link = Link(float(row["bandwidth"]), float(row["delay"]), packets, float(row["loss"]))
    return PccRlModel(link, rate, draw)


# paper: symbolicpcc simulator
@pytest.mark.parametrize(("seed", "spread"), [(0, 1.0), (1, 0.0), (2, 3.0), (3, 20.0)])
def test_equal_trajectories(seed: int, spread: float) -> None:
    links, steps = 25, 120
    batch = Batch(legacy_kernel, EnvConfig.legacy(steps=steps + 1), links)
    batch.seed(seed)
    batch.begin()
    models = [model_of(batch, i, float(batch.state["rate"][i])) for i in range(links)]
    actions = np.random.default_rng(seed).normal(size=(steps, links, 1)) * spread
    for action in actions:
        batch.step(action)
        for i, model in enumerate(models):
            features, reward = model.step(float(action[i, 0]))
            state = batch.state[i]
            assert (state["sent"], state["acked"], state["lost"]) == (
                model.sent,
                model.acked,
                model.lost,
            )
            assert state["now"] == model.now
            assert state["reward"] == reward
            assert (batch.observations[i, -3:] == np.array(features, np.float32)).all()
