"""Whole models timed side by side: what passes promised operator by operator is checked at last."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

import numpy as np

from tuning.decide.ratio import ratio_of
from tuning.graph.model import BuiltModel
from tuning.profile import measuring

_SETTLE_S = 0.03
"""An idle thread of libgomp may spin for 20 ms, and hold a core that the next model wants."""


@dataclass(frozen=True)
class Kept:
    """The build that is kept of several of one model.

    Attributes:
        name: which.
        model: it.
        median_ns: name -> median time of one call of each.
    """

    name: str
    model: BuiltModel
    median_ns: dict[str, float]


def times_ns(
    models: Mapping[str, BuiltModel], rounds: int = 15, warmup: int = 2
) -> dict[str, list[float]]:
    """Return name -> one time per round; in every round each model runs once, in random order.

    Before each timed call there is a pause, in which threads of the pools that the model before
    used stop spinning (TVM's, OpenMP's), and an untimed call, which wakes those of this model.

    Args:
        models: of one image shape; they share this process, and nothing else is measured meanwhile.
        rounds: timed rounds.
        warmup: rounds before.
    """
    import tvm

    shape = next(iter(models.values())).contents.shape
    image = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    given = tvm.runtime.tensor(image)
    found: dict[str, list[float]] = {name: [] for name in models}
    order, luck = list(models.items()), random.Random(0)
    with measuring():
        for round_ in range(warmup + rounds):
            luck.shuffle(order)  # so that nobody always follows the same one
            for name, model in order:
                time.sleep(_SETTLE_S)
                model.call(given)
                start = time.perf_counter_ns()
                model.call(given)
                if round_ >= warmup:
                    found[name].append(float(time.perf_counter_ns() - start))
    return found


def fastest(models: Mapping[str, BuiltModel], rounds: int = 15) -> Kept:
    """Return the first build unless others are faster beyond noise, then the fastest of these.

    Raises:
        ValueError: too few rounds for an interval.
    """
    times = times_ns(models, rounds)
    middle = {name: median(taken) for name, taken in times.items()}
    first = next(iter(models))
    better = [name for name in models if ratio_of([times[first]], [times[name]]).faster]
    name = min(better, key=lambda each: middle[each], default=first)
    return Kept(name, models[name], middle)
