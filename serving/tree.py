"""The prefix tree of a pool in flat arrays, path-compressed.

A node is a run of blocks that exactly the same requests share; node 0 is the root with an empty
run; every request ends at one node. Built from dense prefix ids in O(total blocks) by whole-array
operations: a prefix starts a new node when fewer requests pass through it than through its
parent, and prefixes of one run have consecutive ids (see `serving.canonical`).
After BlendServe section 5.1; granularity is the KV block, so a shared piece shorter than a block
is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from serving.pool import RequestPool


@dataclass(frozen=True, eq=False)
class PrefixTree:
    """k nodes over n requests; parents come before their children.

    Attributes:
        parent: int64[k], -1 for the root.
        run_blocks: int64[k], blocks of the node's own run.
        depth_blocks: int64[k], blocks from the root to the end of the run.
        requests: int64[k], requests in the subtree.
        first_request: int64[k], smallest request index in the subtree.
        node_of_request: int64[n], where each request ends.
        ends_exactly: bool[n], whether a request's prompt ends with a block's last token.
    """

    parent: NDArray[np.int64]
    run_blocks: NDArray[np.int64]
    depth_blocks: NDArray[np.int64]
    requests: NDArray[np.int64]
    first_request: NDArray[np.int64]
    node_of_request: NDArray[np.int64]
    ends_exactly: NDArray[np.bool_]

    def check_integrity(self) -> None:
        """Check the invariants.

        Raises:
            ValueError: one is broken; the message names it.
        """
        k, n = self.parent.size, self.node_of_request.size
        inner = np.arange(1, k)
        up = self.parent[1:]
        ended = np.bincount(self.node_of_request, minlength=k)
        below = np.bincount(up, weights=self.requests[1:], minlength=k)
        checks = {
            "the root has no parent and an empty run": self.parent[0] == -1
            and self.run_blocks[0] == 0,
            "parents precede children": (up < inner).all() and (up >= 0).all(),
            "runs are not empty": (self.run_blocks[1:] >= 1).all(),
            "depths add up": (
                self.depth_blocks[1:] == self.depth_blocks[up] + self.run_blocks[1:]
            ).all(),
            "requests end or go on": (self.requests == below + ended).all(),
            "the root holds all": self.requests[0] == n,
            "a child has fewer requests": (self.requests[1:] < self.requests[up]).all()
            or bool((self.requests[1:][up != 0] < self.requests[up][up != 0]).all()),
        }
        broken = [name for name, holds in checks.items() if not holds]
        if broken:
            raise ValueError(f"prefix tree: broken invariants: {', '.join(broken)}")


# paper: blendserve 5.1
def build_tree(pool: RequestPool) -> PrefixTree:
    """Return the prefix tree of `pool`."""
    n, ids, offsets = len(pool), pool.block_ids, pool.block_offsets
    counts = pool.blocks_per_request
    through = np.bincount(ids) if ids.size else np.zeros(0, np.int64)
    parent_id = np.full(through.size, -1, np.int64)
    parent_id[ids[1:]] = ids[:-1]
    parent_id[ids[offsets[:-1][counts > 0]]] = -1
    starts = (parent_id < 0) | (through != through[parent_id])
    start_ids = np.flatnonzero(starts)
    node_of_id = np.cumsum(starts)
    depth_of_id, first_of_id = _depth_and_first(ids, offsets, through.size)
    run = np.bincount(node_of_id, minlength=start_ids.size + 1).astype(np.int64)
    up = parent_id[start_ids]
    parent = np.where(up >= 0, node_of_id[up], 0) if up.size else up
    node_of_request = np.zeros(n, np.int64)
    node_of_request[counts > 0] = node_of_id[ids[offsets[1:][counts > 0] - 1]]
    return PrefixTree(
        parent=np.r_[-1, parent],
        run_blocks=run,
        depth_blocks=np.r_[0, depth_of_id[start_ids] + run[1:] - 1],
        requests=np.r_[n, through[start_ids]],
        first_request=np.r_[0, first_of_id[start_ids]],
        node_of_request=node_of_request,
        ends_exactly=pool.prompt_tokens % pool.block_tokens == 0,
    )


@numba.njit(cache=True)
def _depth_and_first(
    ids: np.ndarray, offsets: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return per id: its depth (1 = first block) and the first request that holds it."""
    depth = np.zeros(size, np.int64)
    first = np.zeros(size, np.int64)
    for r in range(offsets.size - 1):
        for i in range(offsets[r], offsets[r + 1]):
            if depth[ids[i]] == 0:
                depth[ids[i]] = i - offsets[r] + 1
                first[ids[i]] = r
    return depth, first


@numba.njit(cache=True)
def _accumulate(parent: np.ndarray, loose: np.ndarray, values: np.ndarray) -> None:
    for node in range(parent.size - 1, 0, -1):
        if not loose[node]:
            values[parent[node]] += values[node]


def nothing_loose(tree: PrefixTree) -> NDArray[np.bool_]:
    """Return bool[k + n], no item cut loose; items 0..k-1 are nodes, k..k+n-1 requests.

    A loose item hangs directly below the root with a copy of the path that leads to it
    (BlendServe section 5.2); what is below it stays with it.
    """
    return np.zeros(tree.parent.size + tree.node_of_request.size, bool)


def subtree_sums(
    tree: PrefixTree,
    per_request: NDArray[np.floating] | NDArray[np.integer],
    loose: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return float64[k], the sum of a request quantity over each node's subtree.

    Items that are `loose` (see `nothing_loose`) do not count for what they were cut from, not
    even for the root.
    """
    k = tree.parent.size
    loose = nothing_loose(tree) if loose is None else loose
    weights = np.where(loose[k:], 0.0, np.asarray(per_request, np.float64))
    sums = np.bincount(tree.node_of_request, weights, minlength=k)
    values = sums.astype(np.float64, copy=False)  # it is already, but typed as integers
    _accumulate(tree.parent, loose, values)
    return values


def subtree_distinct_blocks(
    tree: PrefixTree, loose: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Return int64[k], blocks stored by a node's subtree, its own run included.

    With `loose` items, a run that only they use is not stored by the rest.
    """
    if loose is None:
        values, loose = tree.run_blocks.copy(), nothing_loose(tree)
    else:
        users = subtree_sums(tree, np.ones(tree.node_of_request.size), loose)
        values = np.where(users > 0, tree.run_blocks, 0)
    _accumulate(tree.parent, loose, values)
    return values


# paper: blendserve 5.1
def dfs_order(
    tree: PrefixTree,
    node_key: NDArray[np.float64] | None = None,
    request_key: NDArray[np.float64] | None = None,
    loose: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Return int64[n], the requests in depth-first order.

    Siblings are sorted by ascending key, the requests that end at a node among its child nodes;
    ties go to the one that comes first in the pool. Without keys, the requests that end at a
    node come first, those that end exactly with its last block before the others, and subtrees
    follow by first appearance. With keys, one request that ends exactly with a node's last
    block, the first by key, still comes before the rest of the node. Both reach the maximal
    sharing, because a request that ends with a block recomputes it anyway.

    Items that are `loose` (see `nothing_loose`) are sorted among the children of the root.
    """
    k, n = tree.parent.size, tree.node_of_request.size
    nodes = tree.first_request if node_key is None else node_key
    ends = -1.0 - tree.ends_exactly if request_key is None else request_key
    owner = np.r_[tree.parent, tree.node_of_request]
    if loose is not None:
        owner[loose] = 0
    key = np.r_[np.asarray(nodes, np.float64), np.asarray(ends, np.float64)]
    attached = np.ones(n, bool) if loose is None else ~loose[k:]
    key[k + _first_exact_ends(tree, key[k:], attached)] = -np.inf
    first = np.r_[tree.first_request, np.arange(n)]
    # Items 0..k-1 are nodes, k..k+n-1 are requests; the root (owner -1) sorts in front.
    items = np.lexsort((first, key, owner))[1:]
    child_offsets = np.r_[0, np.cumsum(np.bincount(owner[items], minlength=k))]
    return _walk(items, child_offsets, k, n)


def _first_exact_ends(
    tree: PrefixTree, key: NDArray[np.float64], attached: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return per node that has any the first attached request by key that ends exactly with it."""
    ends = np.flatnonzero(tree.ends_exactly & attached)
    by_key = ends[np.argsort(key[ends], kind="stable")]
    _, first = np.unique(tree.node_of_request[by_key], return_index=True)
    return by_key[first]


@numba.njit(cache=True)
def _walk(items: np.ndarray, offsets: np.ndarray, k: int, n: int) -> np.ndarray:
    order = np.empty(n, np.int64)
    found = 0
    stack = np.empty(k + n + 1, np.int64)
    stack[0] = 0
    top = 1
    while top > 0:
        top -= 1
        item = stack[top]
        if item >= k:
            order[found] = item - k
            found += 1
            continue
        for i in range(offsets[item + 1] - 1, offsets[item] - 1, -1):
            stack[top] = items[i]
            top += 1
    return order
