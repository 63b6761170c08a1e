"""Conditional node split as BlendServe's text has it (section 5.2): outliers move to the root.

A leaf or subtree that breaks the falling order of leaf densities is cut out and put back as a
child of the root, if the recomputation this costs is within what is left of the threshold t.
Then the tree is sorted again, until (C1) leaf densities fall or (C2) no outlier is affordable.

Where the paper is silent or too slow:

- An outlier is measured in seconds of compute by which it is out of place (`outlying_s`). Those
  with the most seconds per recomputed token go first, a subtree rather than its parts where it
  has more.
- The paper cuts one and sorts again, up to N_leaf + 1 times. Here one round cuts many, with at
  most half of what is left of t, and the last of `ROUNDS` spends all; this makes it O(N log N).
- t bounds the sum over all cuts, not each of them, and counts a cut at the full depth of what it
  was cut from, which is never too little (`serving.cuts`).
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from policies.ordering.density_sort import Densities
from policies.ordering.monotone import SAME
from policies.ordering.outliers import outlying_s
from serving.cuts import cut_cost_tokens, owners
from serving.tree import PrefixTree, dfs_order, nothing_loose, subtree_sums

ROUNDS = 5


# paper: blendserve 5.2
def relocate_outliers(densities: Densities, budget_tokens: int) -> NDArray[np.bool_]:
    """Return bool[k + n], the items to cut loose; their cost in tokens is within the budget."""
    tree, left = densities.tree, budget_tokens
    loose = nothing_loose(tree)
    cost = cut_cost_tokens(tree, densities.view.pool.block_tokens)
    for turn in range(ROUNDS):
        excess = outlying_s(densities, loose, cost)
        ranking = _ranked(densities, loose, excess, np.where(cost <= left, cost, 0))
        if ranking.size == 0:  # C1, nothing is out of place, or C2, nothing is affordable
            break
        limit = left if turn == ROUNDS - 1 else max(left // 2, int(cost[ranking[0]]))
        chosen = _choose(tree, loose, ranking, cost, limit)
        loose[chosen] = True
        left -= int(cost[chosen].sum())
    return loose


def _ranked(
    densities: Densities,
    loose: NDArray[np.bool_],
    excess: NDArray[np.float64],
    cost: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return the items that could be cut, those with the most misplaced time per token first.

    Args:
        densities: the tree and its times.
        loose: bool[k + n], what is cut already.
        excess: float64[n], misplaced seconds per request.
        cost: int64[k + n], tokens; 0 where a cut makes no sense or is too dear.
    """
    tree = densities.tree
    misplaced = np.abs(np.r_[subtree_sums(tree, excess, loose), excess])
    whole = np.r_[subtree_sums(tree, densities.compute_s, loose), densities.compute_s]
    able = (cost > 0) & ~loose & (misplaced > SAME * whole)
    items = np.flatnonzero(able)
    first = np.r_[tree.first_request, np.arange(excess.size)][items]
    score = misplaced[items] / cost[items]
    # Neighbours that would swap places are misplaced by equal times, up to rounding: the one with
    # more compute goes first, so that the place in the pool decides among equal requests only.
    alike = np.round(score / score.max(initial=1e-300), 9)
    return items[np.lexsort((items, first, -whole[items], -alike))]


def _choose(
    tree: PrefixTree,
    loose: NDArray[np.bool_],
    ranking: NDArray[np.int64],
    cost: NDArray[np.int64],
    limit: int,
) -> NDArray[np.int64]:
    """Return items of the ranking, none above another, that cost at most `limit` together."""
    n, k = tree.node_of_request.size, tree.parent.size
    order = dfs_order(tree, loose=loose)  # any: an item's requests are then side by side
    place = np.empty(n, np.int64)
    place[order] = np.arange(n)
    count = subtree_sums(tree, np.ones(n), loose).astype(np.int64)
    start = np.full(k, n)
    kept = ~loose[k:]
    np.minimum.at(start, tree.node_of_request[kept], place[kept])
    _lowest(tree.parent, loose, start)
    starts, counts = np.r_[start, place], np.r_[count, np.ones(n, np.int64)]
    return _take(ranking, cost, limit, starts, counts, owners(tree, loose), n)


@numba.njit(cache=True)
def _lowest(parent: np.ndarray, loose: np.ndarray, values: np.ndarray) -> None:
    for node in range(parent.size - 1, 0, -1):
        if not loose[node]:
            values[parent[node]] = min(values[parent[node]], values[node])


@numba.njit(cache=True)
def _take(
    ranking: np.ndarray,
    cost: np.ndarray,
    limit: int,
    start: np.ndarray,
    count: np.ndarray,
    owner: np.ndarray,
    n: int,
) -> np.ndarray:
    """Walk the ranking greedily; every place is covered and every node is marked at most once."""
    covered, above = np.zeros(n, np.bool_), np.zeros(owner.size, np.bool_)
    taken, found, spent = np.empty(ranking.size, np.int64), 0, 0
    for item in ranking:
        if spent + cost[item] > limit or above[item] or covered[start[item]]:
            continue
        spent += cost[item]
        taken[found] = item
        found += 1
        covered[start[item] : start[item] + count[item]] = True
        up = owner[item]
        while up > 0 and not above[up]:
            above[up] = True
            up = owner[up]
    return taken[:found]
