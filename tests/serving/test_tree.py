"""The tree against brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.density import ratio
from serving.sharing import (
    apportioned_tokens,
    max_saved_tokens,
    node_density,
    pool_density,
)
from serving.tree import PrefixTree, build_tree, dfs_order, subtree_sums
from tests.serving.pools import RESOURCES, workloads


def blocks_of(pool, request):
    """Return the prefix ids of one request."""
    return pool.block_ids[pool.block_offsets[request] : pool.block_offsets[request + 1]].tolist()


def saved_by(pool, order):
    """Return the prompt tokens that an order saves in an unbounded cache."""
    seen, saved = set(), 0
    for request in order:
        ids = blocks_of(pool, request)
        usable = ids[: (int(pool.prompt_tokens[request]) - 1) // pool.block_tokens]
        hits = itertools.takewhile(seen.__contains__, usable)
        saved += sum(1 for _ in hits) * pool.block_tokens
        seen.update(ids)
    return saved


@given(workloads())
@settings(deadline=None)
def test_tree_is_sound_and_leads_to_each_prefix(workload):
    """Invariants hold, and the path to a request's node has the request's depth."""
    pool, tree = workload.pool, build_tree(workload.pool)
    tree.check_integrity()
    assert np.array_equal(tree.depth_blocks[tree.node_of_request], pool.blocks_per_request)
    assert tree.run_blocks.sum() == len(set(pool.block_ids.tolist()))


@given(workloads())
@settings(deadline=None)
def test_a_node_holds_exactly_the_requests_below_it(workload):
    """`requests` counts those that share the node's last block."""
    pool, tree = workload.pool, build_tree(workload.pool)
    ones = subtree_sums(tree, np.ones(len(pool)))
    assert np.array_equal(ones, tree.requests)
    assert tree.first_request[0] == 0


# paper: blendserve 3.3; blendserve fig 9
@given(workloads(max_requests=6))
@settings(deadline=None, max_examples=30)
def test_maximal_sharing_is_the_best_of_all_orders(workload):
    """The closed form equals the maximum over every permutation."""
    orders = itertools.permutations(range(len(workload.pool)))
    best = max(saved_by(workload.pool, order) for order in orders)
    assert max_saved_tokens(workload.pool) == best


@given(workloads())
@settings(deadline=None)
def test_depth_first_order_reaches_maximal_sharing(workload):
    """Without keys the order is a permutation and saves as much as possible."""
    order = dfs_order(build_tree(workload.pool))
    assert sorted(order.tolist()) == list(range(len(workload.pool)))
    assert saved_by(workload.pool, order) == max_saved_tokens(workload.pool)


@given(workloads(), st.integers(0, 2**32))
@settings(deadline=None)
def test_any_sibling_order_keeps_subtrees_together(workload, seed):
    """With arbitrary keys, the requests of a prefix stay contiguous."""
    pool, tree = workload.pool, build_tree(workload.pool)
    rng = np.random.default_rng(seed)
    keys = rng.random(tree.parent.size), rng.random(len(pool))
    order = dfs_order(tree, *keys)
    for prefix in set(pool.block_ids.tolist()):
        places = [i for i, r in enumerate(order) if prefix in blocks_of(pool, r)]
        assert places == list(range(places[0], places[0] + len(places)))


# paper: blendserve 5.1
@given(workloads())
@settings(deadline=None)
def test_densities_agree_at_the_root(workload):
    """Node density, pool density and apportioned requests give one number for the whole pool."""
    pool, output = workload.pool, workload.output_tokens.astype(float)
    root = node_density(build_tree(pool), pool, output, RESOURCES)[0]
    stored = (
        sum(pool.prompt_tokens)
        - (len(pool.block_ids) - len(set(pool.block_ids.tolist()))) * pool.block_tokens
    )
    assert apportioned_tokens(pool).sum() == pytest.approx(stored)
    compute = RESOURCES.comp_s(stored + output.sum())
    memory = RESOURCES.mem_s(pool.prompt_tokens, output).sum()
    assert root == pytest.approx(float(compute / memory))
    assert pool_density(pool, workload.output_tokens, 0, RESOURCES) >= root * (1 - 1e-12)


def test_density_of_no_memory_is_infinite():
    """Division by zero is defined, not warned about."""
    assert ratio(np.array([1.0, 0.0]), np.zeros(2)).tolist() == [np.inf, 0.0]


# paper: blendserve 4
@pytest.mark.parametrize(("prompt", "output", "printed"), [(496, 510, 2.13), (2508, 23, 33.2)])
def test_densities_of_published_means(prompt, output, printed):
    """WildChat and Azure as printed in BlendServe's Fig. 2, within 6 %."""
    compute = RESOURCES.comp_s(np.float64(prompt + output))
    memory = RESOURCES.mem_s(np.array(prompt), np.array(output))
    assert float(compute / memory) == pytest.approx(printed, rel=0.06)


def test_broken_trees_are_named():
    """`check_integrity` says which law is broken."""
    node = np.array([-1, 0])
    two = np.array([0, 1])
    tree = PrefixTree(
        node, two, two, np.array([1, 2]), np.zeros(2), np.array([1]), np.array([False])
    )
    with pytest.raises(ValueError, match="requests end or go on"):
        tree.check_integrity()
