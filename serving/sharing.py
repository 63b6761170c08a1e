"""How much prefill a pool can save by sharing, and the densities that follow.

`max_saved_tokens` is the most that any order can save in an engine that hits whole blocks and at
most prompt_tokens - 1 tokens: of the c requests through a block, one must compute it, and each
of the e requests whose prompt ends exactly with it recomputes it, so c - max(1, e) hits remain.
Depth-first order with the ending requests first reaches it when the KV cache holds a path.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from serving.density import ResourceModel, ratio
from serving.pool import RequestPool
from serving.tree import PrefixTree, subtree_distinct_blocks, subtree_sums


# paper: blendserve 3.3; blendserve fig 9
def max_saved_tokens(pool: RequestPool) -> int:
    """Return the largest number of prompt tokens that prefix hits can save."""
    if pool.block_ids.size == 0:
        return 0
    through = np.bincount(pool.block_ids)
    exact = (pool.prompt_tokens % pool.block_tokens == 0) & (pool.blocks_per_request > 0)
    last = pool.block_ids[pool.block_offsets[1:][exact] - 1]
    ending = np.bincount(last, minlength=through.size)
    return int((through - np.maximum(1, ending)).sum()) * pool.block_tokens


def shared_with_previous(pool: RequestPool, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return int64[n], the leading blocks that each place of `order` has in common with the last.

    The first place has none.
    """
    return _common_blocks(pool.block_ids, pool.block_offsets, np.asarray(order, np.int64))


@numba.njit(cache=True)
def _common_blocks(ids: np.ndarray, offsets: np.ndarray, order: np.ndarray) -> np.ndarray:
    common = np.zeros(order.size, np.int64)
    for place in range(1, order.size):
        a, b = offsets[order[place - 1]], offsets[order[place]]
        most = min(offsets[order[place - 1] + 1] - a, offsets[order[place] + 1] - b)
        while common[place] < most and ids[a + common[place]] == ids[b + common[place]]:
            common[place] += 1
    return common


def path_saved_tokens(pool: RequestPool, order: NDArray[np.int64]) -> int:
    """Return the prompt tokens that `order` saves where the cache holds the last path only.

    The smallest cache: no order saves less in an engine that keeps more. It is exact and needs
    no engine; depth-first order reaches `max_saved_tokens` by it.
    """
    order = np.asarray(order, np.int64)
    usable = (pool.prompt_tokens[order] - 1) // pool.block_tokens
    return int(np.minimum(shared_with_previous(pool, order), usable).sum()) * pool.block_tokens


def apportioned_tokens(pool: RequestPool) -> NDArray[np.float64]:
    """Return float64[n], prompt tokens of each request with shared blocks split evenly.

    Their sum is the number of distinct prompt tokens, so densities made from them add up to
    (1 - s) T_comp exactly.
    """
    through = np.bincount(pool.block_ids) if pool.block_ids.size else np.ones(1)
    share = pool.block_tokens / through[pool.block_ids] if pool.block_ids.size else np.zeros(0)
    sums = np.r_[0.0, np.cumsum(share)]
    blocks = sums[pool.block_offsets[1:]] - sums[pool.block_offsets[:-1]]
    return blocks + (pool.prompt_tokens - pool.blocks_per_request * pool.block_tokens)


# paper: blendserve 5.1
def node_density(
    tree: PrefixTree,
    pool: RequestPool,
    output: NDArray[np.float64],
    resources: ResourceModel,
    loose: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return float64[k], rho(R) = (1 - s) T_comp / T_mem of each node's subtree.

    s is the subtree's own sharing: the path down to it is counted once. `output` may hold
    estimates; `loose` items (see `serving.tree.nothing_loose`) do not count for the nodes that
    they were cut from. Source: BlendServe sections 5.1 and 5.2.
    """
    all_blocks = subtree_sums(tree, pool.blocks_per_request, loose)
    stored = subtree_distinct_blocks(tree, loose) + tree.depth_blocks - tree.run_blocks
    tokens = subtree_sums(tree, pool.prompt_tokens + output, loose)
    computed = np.maximum(0.0, tokens - (all_blocks - stored) * pool.block_tokens)
    memory = subtree_sums(tree, resources.mem_s(pool.prompt_tokens, output), loose)
    return ratio(resources.comp_s(computed), memory)


# paper: blendserve 3.3
def pool_density(
    pool: RequestPool, output: NDArray[np.integer], saved_tokens: int, resources: ResourceModel
) -> float:
    """Return (1 - s) T_comp / T_mem of the whole pool, `saved_tokens` not computed."""
    tokens = float(pool.prompt_tokens.sum() + output.sum()) - saved_tokens
    memory = resources.mem_s(pool.prompt_tokens, output).sum()
    return float(ratio(resources.comp_s(np.array(tokens)), memory))
