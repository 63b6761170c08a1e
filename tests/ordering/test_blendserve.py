"""BlendServe's order under all its parameters: laws, units, and independence of names."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.kinds.serving_presets import constructed
from policies.ordering.base import OneEnded, TwoEnded
from policies.ordering.blendserve import WORDS, BlendServe, Parameters
from policies.ordering.units import merged_nodes, nodes_of
from serving.pool import RequestPool, Workload
from serving.sharing import max_saved_tokens, path_saved_tokens, shared_with_previous
from serving.tree import build_tree
from tests.ordering.conformance import OrderConformance
from tests.serving.pools import RESOURCES, view_of, workloads

VARIANTS = [
    Parameters(),
    Parameters(sort=False, split="none"),
    Parameters(split="none", relocate=0.0),
    Parameters(split="relocate", keep_sharing=0.5),
    Parameters(split="cut", keep_sharing=0.5, unit="node"),
    Parameters(unit="node", merge=False, charge="shared"),
    Parameters(scan="left"),
    Parameters(scan="fixed", budgets=True, relocate=2.0),
]


def plan(workload, parameters, estimates=None):
    """Return the plan of one variant."""
    view = view_of(workload, estimates)
    return BlendServe(parameters).plan(view, np.random.default_rng(0))


class TestVariants(OrderConformance):
    """Every variant is an order like any other."""

    @pytest.fixture(autouse=True, params=VARIANTS, ids=str)
    def _order(self, request):
        order = type("Variant", (BlendServe,), {"needs_estimates": True})
        order.__init__ = lambda made: BlendServe.__init__(made, request.param)
        request.cls.order = order


@st.composite
def parameters(draw):
    """Strategy: any allowed parameters."""
    chosen = {name: draw(st.sampled_from(words)) for name, words in WORDS.items()}
    sort = chosen["split"] != "none" or draw(st.booleans())
    return Parameters(
        sort=sort,
        keep_sharing=draw(st.floats(0, 1)),
        merge=draw(st.booleans()),
        budgets=draw(st.booleans()),
        relocate=draw(st.sampled_from([0.0, 1.0, 4.0])),
        **chosen,
    )


@given(workloads(), parameters())
@settings(deadline=None, max_examples=200)
def test_any_variant_is_a_permutation_whose_densities_average_to_the_roots(workload, chosen):
    """What the scanner's equations presuppose: sum of rho T_mem = rho_root x sum of T_mem."""
    got, n = plan(workload, chosen), len(workload.pool)
    assert sorted(got.sequence.tolist()) == list(range(n))
    assert isinstance(got, OneEnded) == (chosen.scan == "left")
    if isinstance(got, TwoEnded):
        prompt, output = workload.pool.prompt_tokens, workload.output_tokens
        memory = RESOURCES.mem_s(prompt, output)[got.sequence]
        assert (got.density * memory).sum() == pytest.approx(got.root_density * memory.sum())
        assert (got.output_tokens is not None) == chosen.budgets
        assert (got.fixed_left_share is not None) == (chosen.scan == "fixed")
        assert (got.relocate_at > 0).all() == (chosen.relocate > 0)


# paper: blendserve 5.2; blendserve fig 9
@given(workloads(), st.booleans())
@settings(deadline=None)
def test_without_split_all_sharing_is_kept(workload, sort):
    """Sorted or not, depth-first order reaches the tree's maximal sharing."""
    order = plan(workload, Parameters(sort=sort, split="none")).sequence
    assert path_saved_tokens(workload.pool, order) == max_saved_tokens(workload.pool)


@pytest.mark.parametrize("chosen", VARIANTS, ids=str)
def test_equals_keep_the_pools_order(chosen):
    """The sort is stable: equal requests, and equal groups, stay as they came."""
    same = Workload.of(RequestPool.from_tokens([[1, 2, 3]] * 7, 2), [4] * 7, "equal")
    assert plan(same, chosen).sequence.tolist() == list(range(7))
    prompts = [[g, g, g, i] for i in range(3) for g in (5, 6)]
    groups = Workload.of(RequestPool.from_tokens(prompts, 1), [4] * 6, "equal groups")
    if chosen.split == "none" or chosen.keep_sharing > 0.9:
        assert plan(groups, chosen).sequence.tolist() == [0, 2, 4, 1, 3, 5]


def distinct(workload, seed):
    """Return estimates without ties."""
    return np.random.default_rng(seed).uniform(1, 30, len(workload.pool))


@given(workloads(), parameters(), st.integers(0, 2**32))
@settings(deadline=None)
def test_the_pools_order_does_not_matter_without_ties(workload, chosen, seed):
    """Permute the pool: the plan admits the same requests in the same order."""
    chosen = replace(chosen, sort=True)  # without the sort the pool's order is the order
    n = len(workload.pool)
    moved = np.random.default_rng(seed).permutation(n)
    estimates = distinct(workload, seed)
    first = plan(workload, chosen, estimates)
    second = plan(workload.subset(moved), chosen, estimates[moved])
    assert np.array_equal(first.sequence, moved[second.sequence])
    if isinstance(first, TwoEnded):
        assert first.density == pytest.approx(second.density)


@given(workloads(), parameters(), st.integers(0, 2**32))
@settings(deadline=None)
def test_hash_values_do_not_matter(workload, chosen, seed):
    """Any other one-to-one naming of the blocks gives the same pool and plan."""
    pool = workload.pool
    names = np.random.default_rng(seed).permutation(10_000)[pool.block_ids] * 977 - 123_456
    renamed = RequestPool.from_hashes(pool.prompt_tokens, names, pool.block_tokens)
    assert np.array_equal(renamed.block_ids, pool.block_ids)
    other = Workload.of(renamed, workload.output_tokens, "renamed")
    assert np.array_equal(plan(workload, chosen).sequence, plan(other, chosen).sequence)


@given(workloads(), st.integers(1, 60))
@settings(deadline=None)
def test_merged_nodes_share_a_prefix_and_fit(workload, capacity):
    """Neighbours in one node have a block in common; more than one request fits the memory."""
    pool, tree = workload.pool, build_tree(workload.pool)
    order = plan(workload, Parameters()).sequence
    footprint = pool.prompt_tokens[order]
    unit = merged_nodes(tree, pool, order, footprint, capacity)
    joined = np.r_[False, unit[1:] == unit[:-1]]
    assert (shared_with_previous(pool, order)[joined] > 0).all()
    held = np.bincount(unit, footprint)
    assert (held[np.bincount(unit) > 1] <= capacity).all()
    assert (np.diff(unit) >= 0).all()


@given(workloads())
@settings(deadline=None)
def test_merging_makes_fewer_nodes(workload):
    """With room for all, merged nodes are never more than the tree's own in sorted order."""
    pool, tree = workload.pool, build_tree(workload.pool)
    order = plan(workload, Parameters(split="none")).sequence
    unit = merged_nodes(tree, pool, order, pool.prompt_tokens[order], 10**9)
    same = np.flatnonzero(np.diff(nodes_of(tree, order)) == 0)
    deep = tree.depth_blocks[tree.node_of_request[order]] > tree.depth_blocks[
        tree.requests == len(pool)
    ].max(initial=0)
    assert (unit[same + 1] == unit[same])[deep[same]].all()


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"split": "both"}, "split must be one of none, relocate, cut"),
        ({"keep_sharing": 1.5}, r"keep_sharing must be in \[0, 1\]"),
        ({"relocate": 0.5}, "relocate must be 0 or >= 1"),
        ({"sort": False}, "split needs sort"),
        ({"scan": 1.0}, "must be a str"),
        ({"sorted": True}, "unknown; allowed are sort"),
    ],
)
def test_bad_parameters_are_named(given_, message):
    """One clear message for each."""
    with pytest.raises(ValueError, match=message):
        constructed(BlendServe, given_)


def test_equal_ends_share_evenly_and_one_side_runs_on():
    """A pool of one kind: both scanners see one density and meet without stopping."""
    prompts = [[i, i] for i in range(9)]
    same = Workload.of(RequestPool.from_tokens(prompts, 1), [5] * 9, "one kind")
    got = plan(same, Parameters())
    assert got.density == pytest.approx(got.root_density)
