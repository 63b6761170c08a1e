"""BatchLLM's groups: the best single level of prefixes, and groups by falling ratio."""

import itertools

import numpy as np
from hypothesis import given, settings

from policies.ordering.base import ORDERS
from policies.ordering.groups import Groups
from policies.ordering.one_level import one_level
from serving.pool import RequestPool, Workload
from serving.sharing import max_saved_tokens
from serving.tree import build_tree
from tests.ordering.test_groups import shared_tokens
from tests.serving.pools import view_of, workloads


def nearest_chosen(tree, node, chosen):
    """Return the deepest chosen node on the path of `node`, 0 for none."""
    while node > 0 and node not in chosen:
        node = tree.parent[node]
    return int(node)


def saved_by(tree, chosen):
    """Return the blocks that a set of chosen nodes saves: (m - 1) x path, node by node."""
    owners = [nearest_chosen(tree, node, chosen) for node in tree.node_of_request]
    return sum(
        (owners.count(node) - 1) * tree.depth_blocks[node] for node in chosen if node in owners
    )


def chosen_by(workload):
    """Return the tree, the nodes that requests are assigned to, and the claimed saving."""
    tree = build_tree(workload.pool)
    nearest, saved = one_level(tree)
    return tree, set(nearest[tree.node_of_request].tolist()) - {0}, saved


@given(workloads(max_requests=9))
@settings(deadline=None)
def test_equals_brute_force(workload):
    """No set of nodes saves more than the one found, and it saves what it claims."""
    tree, chosen, saved = chosen_by(workload)
    assert saved_by(tree, chosen) == saved
    inner = [node for node in range(1, tree.parent.size) if tree.requests[node] > 1]
    sets = itertools.chain.from_iterable(
        itertools.combinations(inner, size) for size in range(len(inner) + 1)
    )
    assert saved == max(saved_by(tree, set(nodes)) for nodes in sets)


@given(workloads())
@settings(deadline=None)
def test_groups_in_a_row_save_at_least_the_objective(workload):
    """Even if each request finds only what the one before it had, the objective is reached.

    And no more is promised than any order can save, but for the last token of a prompt, which
    an engine computes anyway.
    """
    tree, _, saved = chosen_by(workload)
    pool = workload.pool
    plan = ORDERS.get("batchllm")().plan(view_of(workload), np.random.default_rng(0))
    found = sum(
        shared_tokens(pool, a, b) for a, b in zip(plan.sequence, plan.sequence[1:], strict=False)
    )
    assert found >= saved * pool.block_tokens
    exact = np.count_nonzero(tree.ends_exactly)
    assert saved * pool.block_tokens <= max_saved_tokens(pool) + exact * pool.block_tokens


def test_a_longer_prefix_takes_its_requests_away():
    """Three that share 6 tokens leave the two that share only 2, and both pairs of groups save."""
    prompts = [[1, 1, 2, 2, 2, 2, i] for i in range(3)] + [[1, 1, 3, 3], [1, 1, 4, 4]]
    workload = Workload.of(RequestPool.from_tokens(prompts, 1), [1] * 5, "two levels")
    tree, chosen, saved = chosen_by(workload)
    assert sorted(tree.depth_blocks[list(chosen)]) == [2, 6]
    assert saved == 2 * 6 + 1 * 2


def test_one_long_prefix_is_not_split_for_little():
    """A pair that shares one token more stays: a prefix of its own would cost ten."""
    prompts = [[*range(10), 50, i] for i in range(2)] + [[*range(10), 60 + i] for i in range(2)]
    workload = Workload.of(RequestPool.from_tokens(prompts, 1), [1] * 4, "one level")
    tree, chosen, saved = chosen_by(workload)
    assert tree.depth_blocks[list(chosen)].tolist() == [10]
    assert saved == 3 * 10


@given(workloads())
@settings(deadline=None)
def test_groups_follow_by_falling_ratio(workload):
    """Decoding over prompt tokens, the shared prefix once, never rises from group to group."""
    pool, tree = workload.pool, build_tree(workload.pool)
    nearest, _ = one_level(tree)
    node = nearest[tree.node_of_request]
    of_request = Groups.of(tree, np.where(node > 0, node, -1)).of_request
    plan = ORDERS.get("batchllm")().plan(view_of(workload), np.random.default_rng(0))
    ratios = []
    for _, members in itertools.groupby(plan.sequence, key=lambda r: of_request[r]):
        mine = list(members)
        prefix = tree.depth_blocks[node[mine[0]]] * pool.block_tokens
        prompt = pool.prompt_tokens[mine].sum() - (len(mine) - 1) * prefix
        ratios.append(workload.output_tokens[mine].sum() / prompt)
    assert len(ratios) == of_request.max() + 1
    assert (np.diff(ratios) <= 1e-12).all()
