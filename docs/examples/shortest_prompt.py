"""Shortest prompt first."""

from typing import ClassVar

import numpy as np

from policies.ordering.base import OneEnded, register
from serving.pool import PoolView


@register("shortest_prompt")
class ShortestPrompt:
    """Sorts by prompt length, ascending."""

    needs_estimates: ClassVar[bool] = False

    def plan(self, view: PoolView, rng: np.random.Generator) -> OneEnded:
        """Return the requests by rising prompt length."""
        del rng
        return OneEnded(np.argsort(view.pool.prompt_tokens, kind="stable"))
