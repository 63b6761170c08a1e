"""Requests next to each other that the dual scanner takes for one node.

The paper's scanner sees the density of a *node* and changes M_L and M_R when it reaches a new one;
subtrees are merged into single nodes "when that does not hurt sharing", so that there are fewer
(section 5.1). Merging never changes the sequence, only which densities the scanner sees.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from serving.density import ratio
from serving.pool import RequestPool
from serving.sharing import shared_with_previous
from serving.tree import PrefixTree


def nodes_of(tree: PrefixTree, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return int64[n], a number per place: neighbours that end at one tree node have the same."""
    node = tree.node_of_request[order]
    return np.cumsum(np.r_[0, node[1:] != node[:-1]])[: order.size]


def merged_nodes(
    tree: PrefixTree,
    pool: RequestPool,
    order: NDArray[np.int64],
    footprint_tokens: NDArray[np.int64],
    capacity_tokens: int,
) -> NDArray[np.int64]:
    """Return int64[n], a number per place: neighbours that form one merged node have the same.

    The paper gives no rule. Here neighbours are merged while they share a prefix, beyond what
    all requests share, and all requests of the node fit the KV memory side by side: then the
    prefix stays in the cache from the first to the last of them, so nothing is lost.

    Args:
        tree: the prefix tree.
        pool: its requests.
        order: int64[n], the sequence.
        footprint_tokens: int64[n], mean KV tokens of the request at each place.
        capacity_tokens: KV tokens that the cache holds.
    """
    everywhere = tree.depth_blocks[tree.requests == len(pool)].max(initial=0)
    related = shared_with_previous(pool, order) > everywhere
    return _filled(related, footprint_tokens, capacity_tokens)


@numba.njit(cache=True)
def _filled(related: np.ndarray, footprint: np.ndarray, capacity: int) -> np.ndarray:
    unit, held = np.zeros(related.size, np.int64), 0
    for i in range(related.size):
        joins = i > 0 and related[i] and held + footprint[i] <= capacity
        held = held + footprint[i] if joins else footprint[i]
        if i > 0:
            unit[i] = unit[i - 1] + (not joins)
    return unit


def unit_density(
    unit: NDArray[np.int64], compute_s: NDArray[np.float64], memory_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return float64[n], at each place the density of its unit; all arguments are by place."""
    sums = [np.bincount(unit, seconds).astype(np.float64) for seconds in (compute_s, memory_s)]
    return ratio(sums[0], sums[1])[unit]
