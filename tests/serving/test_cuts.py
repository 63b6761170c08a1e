"""Cutting a tree loose: what is computed, and that its cost is never understated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.cuts import allowed_loss_tokens, computed_tokens, cut_cost_tokens, owners
from serving.density import ratio
from serving.pool import RequestPool
from serving.sharing import (
    apportioned_tokens,
    max_saved_tokens,
    node_density,
    path_saved_tokens,
    shared_with_previous,
)
from serving.tree import build_tree, dfs_order, nothing_loose
from tests.serving.pools import RESOURCES, workloads
from tests.serving.test_tree import blocks_of


def random_cut(tree, seed, share=0.3):
    """Return random loose items; the root is none."""
    loose = np.random.default_rng(seed).random(nothing_loose(tree).size) < share
    loose[0] = False
    return loose


def pieces(tree, loose):
    """Return per request the item that it hangs with: itself, a loose node above it, or 0."""
    k, found = tree.parent.size, []
    for request, node in enumerate(tree.node_of_request):
        while node > 0 and not loose[node]:
            node = tree.parent[node]
        found.append(k + request if loose[k + request] else int(node))
    return found


def piece_counts(pool, tree, loose):
    """Return block -> the set of pieces whose requests hold it."""
    held = {}
    for request, piece in enumerate(pieces(tree, loose)):
        for block in blocks_of(pool, request):
            held.setdefault(block, set()).add(piece)
    return held


SEEDS = st.integers(0, 2**32)


@given(workloads(), SEEDS)
@settings(deadline=None)
def test_every_piece_computes_its_blocks_once(workload, seed):
    """The sum over requests is one computation of each block per piece, and the partial tails."""
    pool, tree = workload.pool, build_tree(workload.pool)
    loose = random_cut(tree, seed)
    blocks = sum(map(len, piece_counts(pool, tree, loose).values()))
    tails = pool.prompt_tokens - pool.blocks_per_request * pool.block_tokens
    got = computed_tokens(tree, pool, loose)
    assert got.sum() == pytest.approx(blocks * pool.block_tokens + tails.sum())
    assert (got > 0).all()
    assert (got <= pool.prompt_tokens + 1e-9).all()


@given(workloads())
@settings(deadline=None)
def test_without_cuts_blocks_are_split_among_all_users(workload):
    """The way down the tree gives what counting users per block gives."""
    pool = workload.pool
    assert computed_tokens(build_tree(pool), pool) == pytest.approx(apportioned_tokens(pool))


@given(workloads(), SEEDS)
@settings(deadline=None)
def test_cuts_cost_at_most_what_they_are_charged(workload, seed):
    """Saved tokens, counted request by request, fall by no more than the sum of the charges."""
    pool, tree = workload.pool, build_tree(workload.pool)
    loose, rng = random_cut(tree, seed), np.random.default_rng(seed)
    keys = rng.random(tree.parent.size), rng.random(len(pool))
    order = dfs_order(tree, *keys, loose)
    assert sorted(order.tolist()) == list(range(len(pool)))
    charged = cut_cost_tokens(tree, pool.block_tokens)[loose].sum()
    assert max_saved_tokens(pool) - path_saved_tokens(pool, order) <= charged


# paper: blendserve alg 1
@given(workloads(), SEEDS)
@settings(deadline=None)
def test_sorted_depth_first_order_reaches_maximal_sharing(workload, seed):
    """Whatever the keys, with a cache that holds one path only."""
    pool, tree = workload.pool, build_tree(workload.pool)
    rng = np.random.default_rng(seed)
    order = dfs_order(tree, rng.random(tree.parent.size), rng.random(len(pool)))
    assert path_saved_tokens(pool, order) == max_saved_tokens(pool)
    assert path_saved_tokens(pool, dfs_order(tree)) == max_saved_tokens(pool)


@given(workloads(), SEEDS)
@settings(deadline=None)
def test_densities_of_what_is_left(workload, seed):
    """A node's density is that of the requests that still hang below it, path counted once."""
    pool, tree = workload.pool, build_tree(workload.pool)
    output = workload.output_tokens.astype(float)
    loose = random_cut(tree, seed)
    got = node_density(tree, pool, output, RESOURCES, loose)
    above = owners(tree, loose)
    for node in range(tree.parent.size):
        inside = [r for r in range(len(pool)) if _hangs_below(above, tree, r, node)]
        blocks = {b for r in inside for b in blocks_of(pool, r)}
        rests = pool.prompt_tokens - pool.blocks_per_request * pool.block_tokens
        tokens = len(blocks) * pool.block_tokens + (rests[inside] + output[inside]).sum()
        memory = RESOURCES.mem_s(pool.prompt_tokens[inside], output[inside]).sum()
        expected = float(ratio(RESOURCES.comp_s(tokens), memory))
        if inside and (node > 0 or not loose.any()):
            assert got[node] == pytest.approx(expected)


def _hangs_below(above, tree, request, node):
    item = tree.parent.size + request
    while item > 0 and item != node:
        item = above[item]
    return item == node


@given(workloads(), SEEDS)
@settings(deadline=None)
def test_common_blocks_are_counted(workload, seed):
    """Blocks shared with the previous place, against lists."""
    pool = workload.pool
    order = np.random.default_rng(seed).permutation(len(pool))
    got = shared_with_previous(pool, order)
    for place in range(1, len(order)):
        a, b = blocks_of(pool, order[place - 1]), blocks_of(pool, order[place])
        same = [x == y for x, y in zip(a, b, strict=False)]
        assert got[place] == (same.index(False) if False in same else len(same))


def test_threshold_is_a_share_of_the_sharing():
    """Four equal prompts of 3 blocks: 2 x 3 blocks of 4 tokens can be saved, 10 % is 2 tokens."""
    pool = RequestPool.from_tokens([[7] * 13] * 3, 4)
    assert max_saved_tokens(pool) == 24
    assert allowed_loss_tokens(pool, 0.9) == 2
    assert allowed_loss_tokens(pool, 1.0) == 0
