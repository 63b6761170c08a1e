"""Prefix groups: requests that share a prefix worth keeping together, as the units of an order.

A group is a subtree of the prefix tree, cut where the path down to it first holds so many tokens
that losing it would matter; a request that ends above any such cut is a group of its own. The
default, 32 tokens, is the length from which SGLang lets a request wait for another's prefix. With
one block the groups are the root's subtrees; on BlendServe's mixes these are whole sources.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from serving.pool import RequestPool
from serving.tree import PrefixTree, build_tree, dfs_order

PREFIX_TOKENS = 32


@dataclass(frozen=True, eq=False)
class Groups:
    """g groups of n requests.

    Attributes:
        of_request: int64[n], each request's group, numbered as they appear in `depth_first`.
        count: g.
        depth_first: int64[n], the depth-first order of the pool.
    """

    of_request: NDArray[np.int64]
    count: int
    depth_first: NDArray[np.int64]

    @classmethod
    def of(cls, tree: PrefixTree, label: NDArray[np.int64]) -> Groups:
        """Return the groups of requests with equal labels; int64[n], -1 for a request alone."""
        alone = label < 0
        labels = np.where(alone, tree.parent.size + np.arange(label.size), label)
        order = dfs_order(tree)
        _, first, found = np.unique(labels[order], return_index=True, return_inverse=True)
        rank = np.empty(first.size, np.int64)
        rank[np.argsort(first)] = np.arange(first.size)
        of_request = np.empty(label.size, np.int64)
        of_request[order] = rank[found]
        return cls(of_request, first.size, order)

    def sums(self, per_request: NDArray[np.floating] | NDArray[np.integer]) -> NDArray[np.float64]:
        """Return float64[g], the sum of a request quantity over each group."""
        weights = np.asarray(per_request, np.float64)
        return np.bincount(self.of_request, weights, self.count).astype(np.float64, copy=False)

    def largest(self, per_request: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return float64[g], the largest value of a request quantity >= 0 in each group."""
        found = np.zeros(self.count)
        np.maximum.at(found, self.of_request, per_request)
        return found

    def sequence(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return int64[n]: the groups in `order`, int64[g], each as a whole, depth-first inside."""
        rank = np.empty(self.count, np.int64)
        rank[order] = np.arange(self.count)
        return self.depth_first[np.argsort(rank[self.of_request[self.depth_first]], kind="stable")]


def prefix_groups(pool: RequestPool, prefix_tokens: int = PREFIX_TOKENS) -> Groups:
    """Return the groups whose requests share at least `prefix_tokens`, in whole blocks.

    Raises:
        ValueError: `prefix_tokens` is below 1.
    """
    if prefix_tokens < 1:
        raise ValueError(f"prefix_tokens must be >= 1, got {prefix_tokens}")
    tree = build_tree(pool)
    deep = tree.depth_blocks * pool.block_tokens >= prefix_tokens
    return Groups.of(tree, _first_deep(tree.parent, deep)[tree.node_of_request])


@numba.njit(cache=True)
def _first_deep(parent: np.ndarray, deep: np.ndarray) -> np.ndarray:
    """Return per node the uppermost deep node on its path, itself included; -1 for none."""
    top = np.full(parent.size, -1, np.int64)
    for node in range(1, parent.size):
        above = top[parent[node]]
        top[node] = above if above >= 0 or not deep[node] else node
    return top
