"""Small trainings and networks for tests."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from policies.distill.teacher_config import TeacherConfig, preset
from policies.distill.weights import Network
from policies.distill.worlds import World

VARIANTS = ("legacy", "corrected")


def small(variant: str, **changes: Any) -> TeacherConfig:
    """Return a training of a second: episodes of 40 intervals on 16 links."""
    config = preset(variant)
    world = World(config.world.environment, replace(config.world.config, steps=40))
    fields: dict[str, Any] = {
        "world": world,
        "total_steps": 6 * 512,
        "parallel": 16,
        "batch_steps": 512,
        "minibatch": 128,
        "evaluate_every": 2 * 512,
        "validation_links": 8,
        "checkpoint_every": 1,
    }
    return replace(config, **{**fields, **changes})


def network_of(world: World, hidden: tuple[int, ...] = (5, 4), seed: int = 0) -> Network:
    """Return a network of random weights."""
    luck = np.random.default_rng(seed)
    tensors = {}
    for place, (inputs, outputs) in enumerate(pairwise((world.inputs, *hidden, 1))):
        tensors[f"w{place}"] = luck.normal(0, 0.3, (inputs, outputs)).astype(np.float32)
        tensors[f"b{place}"] = luck.normal(0, 0.3, outputs).astype(np.float32)
    tensors["log_std"] = np.zeros(1, np.float32)
    return Network(tensors, world)
