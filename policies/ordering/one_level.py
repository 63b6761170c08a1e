"""The best way to cut a prefix tree down to one level of shared prefixes.

Choose nodes of the tree; every request belongs to the deepest chosen node above it, and to none
if there is none. The m requests of a chosen node whose path holds D tokens save (m - 1) D tokens:
one of them computes the prefix, the others find it. Which nodes save most?

Let B(v, a) be the most that v's subtree saves when a is the nearest chosen node above v, with
the cost D of each chosen node charged where it is chosen. With f requests of v that are not below
a child with two or more of them, D_x the path of x, and the sum over those children c,

    chosen(v)    = f D_v + sum B(c, v) - D_v
    passed(v, a) = f D_a + sum B(c, a)
    B(v, a)      = max(chosen(v), passed(v, a))

`passed` grows with D_a, so v is chosen exactly if a lies at or above some level, one number per
node. A node needs one entry per ancestor; as every such node can be charged to a request of its
own that has at least as many blocks, time and memory are linear in the blocks of the pool.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from serving.tree import PrefixTree


def one_level(tree: PrefixTree) -> tuple[NDArray[np.int64], int]:
    """Return int64[k], each node's nearest chosen node (itself included, 0 for none), and a sum.

    The sum is the saving in blocks, the most that one level can save.
    """
    chosen_from, saved = _decide(tree.parent, tree.requests, tree.depth_blocks)
    return _assign(tree.parent, chosen_from), saved


@numba.njit(cache=True)
def _levels(parent: np.ndarray) -> np.ndarray:
    level = np.zeros(parent.size, np.int64)
    for node in range(1, parent.size):
        level[node] = level[parent[node]] + 1
    return level


@numba.njit(cache=True)
def _offsets(requests: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return where each node's entries begin, one per ancestor and itself; none for leaves."""
    offsets = np.zeros(requests.size + 1, np.int64)
    for node in range(requests.size):
        entries = level[node] + 1 if requests[node] > 1 or node == 0 else 0
        offsets[node + 1] = offsets[node] + entries
    return offsets


@numba.njit(cache=True)
def _decide(parent: np.ndarray, requests: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, int]:
    """Return per node the lowest level of a nearest chosen ancestor at which it is chosen."""
    level, free = _levels(parent), requests.copy()
    offsets = _offsets(requests, level)
    below = np.zeros(offsets[-1], np.int64)
    chosen_from = np.full(parent.size, -1, np.int64)
    for v in range(parent.size - 1, 0, -1):
        if requests[v] < 2:
            continue
        own, above = offsets[v], offsets[parent[v]]
        chosen = below[own + level[v]] + (free[v] - 1) * depth[v]
        a = parent[v]
        for j in range(level[v] - 1, -1, -1):
            passed = below[own + j] + free[v] * depth[a]
            if chosen > passed and chosen_from[v] < 0:
                chosen_from[v] = j
            below[above + j] += max(chosen, passed)
            a = parent[a]
        free[parent[v]] -= requests[v]
    return chosen_from, int(below[0])


@numba.njit(cache=True)
def _assign(parent: np.ndarray, chosen_from: np.ndarray) -> np.ndarray:
    nearest, level = np.zeros(parent.size, np.int64), _levels(parent)
    for v in range(1, parent.size):
        above = nearest[parent[v]]
        nearest[v] = v if level[above] <= chosen_from[v] else above
    return nearest
