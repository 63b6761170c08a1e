"""BlendServe: a density-sorted prefix tree, scanned from both ends (ASPLOS '26, section 5).

Algorithm 1's sort: the children of every node are sorted by density, compute-heavy first; only
siblings change places, so sharing is kept. Then the dual scanner (`dual_scan`) admits from the
left and from the right. Not yet here: the conditional split of outliers and the merging of
subtrees (section 5.2 and Algorithm 2), and the relocation of underestimated requests (5.3).

Where the paper is silent: the scanner's density at a position is the request's own, with shared
prompt blocks split evenly among their users; these average, weighted by memory time, to the
root's density exactly, which the paper's equations presuppose.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from policies.ordering.base import TwoEnded, register
from serving.density import ratio
from serving.pool import PoolView
from serving.sharing import apportioned_tokens, node_density
from serving.tree import build_tree, dfs_order


@register("blendserve")
class BlendServe:
    """Sorted tree and dual scan."""

    needs_estimates: ClassVar[bool] = True

    def plan(self, view: PoolView, rng: np.random.Generator) -> TwoEnded:
        """Return the two-ended plan."""
        del rng
        pool, output, resources = view.pool, view.estimated_output_tokens, view.resources
        tree = build_tree(pool)
        memory = resources.mem_s(pool.prompt_tokens, output)
        alone = ratio(resources.comp_s(pool.prompt_tokens + output), memory)
        order = dfs_order(tree, -node_density(tree, pool, output, resources), -alone)
        compute = resources.comp_s(apportioned_tokens(pool) + output)
        footprint = pool.prompt_tokens + np.ceil(output / 2).astype(np.int64)
        root = float(ratio(compute.sum(), memory.sum()))
        return TwoEnded(order, ratio(compute, memory)[order], footprint[order], root)
