"""Prefix groups, and the orders that move them as a whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.ordering.base import ORDERS
from policies.ordering.dfs_longest_groups import LongestGroupsParameters
from policies.ordering.groups import prefix_groups
from policies.ordering.random_groups import RandomGroupsParameters
from policies.ordering.shortest_first import ShortestParameters
from serving.pool import RequestPool, Workload
from serving.tree import build_tree, dfs_order
from tests.serving.pools import RESOURCES, view_of, workloads

GROUP_ORDERS = ("random_groups", "dfs_longest_groups", "interleave_groups")


def planned(name, workload, seed=0, **given_parameters):
    """Return the sequence of an order that takes parameters."""
    order = ORDERS.get(name)
    view = view_of(workload)
    plan = order(order.Parameters(**given_parameters)).plan(view, np.random.default_rng(seed))
    return plan.sequence


def shared_tokens(pool, a, b):
    """Return the tokens, in whole blocks, that two prompts begin with alike."""
    first, second = (
        pool.block_ids[pool.block_offsets[r] : pool.block_offsets[r + 1]] for r in (a, b)
    )
    length = min(first.size, second.size)
    equal = first[:length] == second[:length]
    return int(np.logical_and.accumulate(equal).sum()) * pool.block_tokens


@given(workloads(), st.integers(1, 12))
@settings(deadline=None)
def test_a_group_is_all_that_share_so_much(workload, tokens):
    """Two requests are in one group exactly if they share that many tokens, in whole blocks."""
    pool, found = workload.pool, prefix_groups(workload.pool, tokens).of_request
    for a in range(len(pool)):
        for b in range(a):
            assert (found[a] == found[b]) == (shared_tokens(pool, a, b) >= tokens)


@given(workloads(), st.integers(1, 12), st.sampled_from(GROUP_ORDERS))
@settings(deadline=None)
def test_groups_stay_contiguous_and_depth_first(workload, tokens, name):
    """Each group comes as a whole, in the order that depth-first search gives its requests."""
    sequence = planned(name, workload, prefix_tokens=tokens)
    groups = prefix_groups(workload.pool, tokens)
    met = groups.of_request[sequence]
    assert np.count_nonzero(np.diff(met)) == max(0, groups.count - 1)
    place = np.argsort(dfs_order(build_tree(workload.pool)))[sequence]
    assert (np.diff(place)[np.diff(met) == 0] > 0).all()


@given(workloads(), st.integers(1, 12), st.sampled_from(["longest", "mean"]))
@settings(deadline=None)
def test_longest_groups_fall(workload, tokens, by):
    """The groups' longest, or mean, output never rises along the sequence."""
    sequence = planned("dfs_longest_groups", workload, by=by, prefix_tokens=tokens)
    groups = prefix_groups(workload.pool, tokens)
    output = workload.output_tokens.astype(float)
    if by == "longest":
        length = groups.largest(output)
    else:
        length = groups.sums(output) / np.bincount(groups.of_request)
    assert (np.diff(length[groups.of_request[sequence]]) <= 0).all()


@given(workloads())
@settings(deadline=None)
def test_without_groups_longest_groups_is_longest_first(workload):
    """Where nobody shares enough, every request is a group of its own."""
    sequence = planned("dfs_longest_groups", workload, prefix_tokens=1000)
    view = view_of(workload)
    expected = ORDERS.get("longest_first")().plan(view, np.random.default_rng(0)).sequence
    assert np.array_equal(sequence, expected)


def test_every_order_of_groups_is_as_likely():
    """Over 600 seeds each of the six orders of three groups comes up about 100 times."""
    pool = RequestPool.from_tokens([[i, i, j] for i in range(3) for j in range(2)], 1)
    workload = Workload.of(pool, [1] * 6, "three pairs")
    drawn = [
        tuple(planned("random_groups", workload, seed, prefix_tokens=2)[::2] // 2)
        for seed in range(600)
    ]
    counts = [drawn.count(order) for order in set(drawn)]
    assert len(counts) == 6
    assert min(counts) > 60


@given(workloads(), st.sampled_from(["output", "work"]))
@settings(deadline=None)
def test_shortest_first_rises(workload, by):
    """Output, or time of compute and memory, never falls along the sequence."""
    sequence = planned("shortest_first", workload, by=by)
    prompt, output = workload.pool.prompt_tokens, workload.output_tokens
    work = RESOURCES.comp_s(prompt + output) + RESOURCES.mem_s(prompt, output)
    assert (np.diff((output if by == "output" else work)[sequence]) >= 0).all()


def test_bad_parameters_are_named():
    """The message names the field and what is allowed."""
    with pytest.raises(ValueError, match="by must be 'longest' or 'mean'"):
        LongestGroupsParameters(by="median")
    with pytest.raises(ValueError, match="by must be 'output' or 'work'"):
        ShortestParameters(by="prompt")
    order = ORDERS.get("random_groups")(RandomGroupsParameters(prefix_tokens=0))
    empty = Workload.of(RequestPool.from_tokens([[1]], 1), [1], "one")
    with pytest.raises(ValueError, match="prefix_tokens must be >= 1"):
        order.plan(view_of(empty), np.random.default_rng(0))
