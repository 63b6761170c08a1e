"""Longest estimated output first, depth-first order among equals.

The classic longest-processing-time rule; BlendServe does not compare with it. Where all requests
of a source get one estimate, whole sources follow each other and sharing survives.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from policies.ordering.base import OneEnded, register
from serving.pool import PoolView, RequestPool
from serving.tree import build_tree, dfs_order


def depth_first_among_equals(pool: RequestPool, key: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return int64[n], the requests by rising key, those of equal key in depth-first order."""
    depth_first = dfs_order(build_tree(pool))
    return depth_first[np.argsort(key[depth_first], kind="stable")]


@register("longest_first")
class LongestFirst:
    """Sorts by estimated output, descending."""

    needs_estimates: ClassVar[bool] = True

    def plan(self, view: PoolView, rng: np.random.Generator) -> OneEnded:
        """Return the requests by falling estimate."""
        del rng
        return OneEnded(depth_first_among_equals(view.pool, -view.estimated_output_tokens))
