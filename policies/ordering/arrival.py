"""First come, first served: the order of submission."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from policies.ordering.base import OneEnded, register
from serving.pool import PoolView


@register("arrival")
class Arrival:
    """What an engine does with an unsorted pool; ties keep the pool's order."""

    needs_estimates: ClassVar[bool] = False

    def plan(self, view: PoolView, rng: np.random.Generator) -> OneEnded:
        """Return the requests by arrival time."""
        del rng
        return OneEnded(np.argsort(view.pool.arrival_ns, kind="stable"))
