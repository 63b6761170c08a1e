"""What it costs to cut parts of a prefix tree loose, and what each request then computes.

An item is a node (0..k-1) or a request (k..k+n-1) of the tree; a loose one hangs below the root
with a copy of the path that leads to it (`serving.tree.nothing_loose`). Every cut adds at most
one more computation of each block above it, so the depth of what it was cut from bounds its cost.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from serving.pool import RequestPool
from serving.sharing import max_saved_tokens
from serving.tree import PrefixTree, nothing_loose, subtree_sums


def allowed_loss_tokens(pool: RequestPool, keep_sharing: float) -> int:
    """Return t: the saved prompt tokens that may be given up.

    Args:
        pool: the requests.
        keep_sharing: share of the maximal sharing to keep, in [0, 1] (BlendServe 5.2: 0.99).
    """
    return int((1.0 - keep_sharing) * max_saved_tokens(pool))


def owners(tree: PrefixTree, loose: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return int64[k + n], the node that each item hangs below now; -1 for the root."""
    return np.where(loose, 0, np.r_[tree.parent, tree.node_of_request])


def cut_cost_tokens(tree: PrefixTree, block_tokens: int) -> NDArray[np.int64]:
    """Return int64[k + n], tokens computed once more if an item is cut loose (0: at the root)."""
    above = np.r_[tree.parent, tree.node_of_request]
    return np.where(above >= 0, tree.depth_blocks[above], 0) * block_tokens


def computed_tokens(
    tree: PrefixTree, pool: RequestPool, loose: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return float64[n], prompt tokens per request, each block split among those who share it.

    Requests share a block if it lies above all of them and no cut parts them. The sum is what
    a cache that holds one path computes, but for requests that end exactly with a block.
    """
    k = tree.parent.size
    loose = nothing_loose(tree) if loose is None else loose
    users = subtree_sums(tree, np.ones(tree.node_of_request.size), loose)
    per_user = _down(tree.parent, tree.run_blocks, tree.depth_blocks, loose, users)
    whole = pool.blocks_per_request
    blocks = np.where(loose[k:], whole, per_user[tree.node_of_request]).astype(np.float64)
    return blocks * pool.block_tokens + (pool.prompt_tokens - whole * pool.block_tokens)


@numba.njit(cache=True)
def _down(
    parent: np.ndarray, run: np.ndarray, depth: np.ndarray, loose: np.ndarray, users: np.ndarray
) -> np.ndarray:
    """Return per node the blocks on the path to its end, each divided by its users."""
    share = np.zeros(parent.size)
    for node in range(1, parent.size):
        if users[node] > 0:
            above = 0.0 if loose[node] else share[parent[node]]
            own = depth[node] if loose[node] else run[node]
            share[node] = above + own / users[node]
    return share
