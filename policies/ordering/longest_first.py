"""Longest estimated output first, depth-first order among equals.

The classic longest-processing-time rule; BlendServe does not compare with it. Where all requests
of a source get one estimate, whole sources follow each other and sharing survives.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from policies.ordering.base import OneEnded, register
from serving.pool import PoolView
from serving.tree import build_tree, dfs_order


@register("longest_first")
class LongestFirst:
    """Sorts by estimated output, descending."""

    needs_estimates: ClassVar[bool] = True

    def plan(self, view: PoolView, rng: np.random.Generator) -> OneEnded:
        """Return the requests by falling estimate."""
        del rng
        depth_first = dfs_order(build_tree(view.pool))
        falling = np.argsort(-view.estimated_output_tokens[depth_first], kind="stable")
        return OneEnded(depth_first[falling])
