"""Conditional node split as BlendServe's Algorithm 2 has it: the tree cut into units, top-down.

A node whose children would cost more than its budget t to part stays whole and is a unit; else
its children become units or are cut further, each with t divided by their number. Units are then
sorted by density below the root. Parting c children under a prefix of l tokens is charged l x c,
as in the paper. One thing differs: the paper hands t / c down whatever the cut itself cost, so
that each level of the tree may spend t anew; here it hands down (t - l c) / c, so that the whole
costs at most t.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from serving.tree import PrefixTree


# paper: blendserve alg 2
def cut_into_units(tree: PrefixTree, block_tokens: int, budget_tokens: int) -> NDArray[np.bool_]:
    """Return bool[k + n], the items to cut loose; their cost in tokens is within the budget."""
    above = np.r_[tree.parent, tree.node_of_request]
    children = np.bincount(above[1:], minlength=tree.parent.size)
    parted = _parted(tree.parent, tree.depth_blocks * block_tokens, children, budget_tokens)
    return (above > 0) & parted[above]


@numba.njit(cache=True)
def _parted(
    parent: np.ndarray, prefix_tokens: np.ndarray, children: np.ndarray, budget: int
) -> np.ndarray:
    """Return per node whether its children are cut apart."""
    parted, handed = np.zeros(parent.size, np.bool_), np.zeros(parent.size)
    for node in range(parent.size):
        if node > 0 and not parted[parent[node]]:
            continue
        budget_here = float(budget) if node == 0 else handed[parent[node]]
        price = float(prefix_tokens[node] * children[node])
        if children[node] > 0 and (node == 0 or (children[node] > 1 and price <= budget_here)):
            parted[node] = True
            handed[node] = (budget_here - price) / children[node]
    return parted
