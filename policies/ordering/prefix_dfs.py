"""Depth-first order of the prefix tree: maximal sharing, blind to demands.

The order of BlendServe's vLLM-DFS, SGLang-DFS and NanoFlow-DFS baselines (section 6.1), on
whatever engine the manifest sets; `vllm_dfs`, `sglang_dfs` and `nanoflow_dfs` are the same order
on those systems' engines.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from policies.ordering.base import OneEnded, register
from serving.pool import PoolView
from serving.tree import build_tree, dfs_order


@register("prefix_dfs")
class PrefixDfs:
    """Subtrees in order of first appearance."""

    needs_estimates: ClassVar[bool] = False

    def plan(self, view: PoolView, rng: np.random.Generator) -> OneEnded:
        """Return the depth-first order."""
        del rng
        return OneEnded(dfs_order(build_tree(view.pool)))
