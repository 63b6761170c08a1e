"""The conditional split in both forms: within t, and what each is for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.ordering.blendserve import BlendServe, Parameters
from policies.ordering.density_sort import Densities
from policies.ordering.monotone import misplaced_s
from policies.ordering.split_cut import cut_into_units
from policies.ordering.split_relocate import relocate_outliers
from serving.cuts import allowed_loss_tokens, cut_cost_tokens
from serving.pool import RequestPool, Workload
from serving.sharing import max_saved_tokens, path_saved_tokens
from serving.tree import build_tree
from tests.serving.pools import view_of, workloads

FORMS = st.sampled_from(["relocate", "cut"])


def grouped(outputs, prefix=40, own=4):
    """Return a workload of groups with a long prefix of their own, outputs given per group."""
    prompts, lengths = [], []
    for group, group_outputs in enumerate(outputs):
        for member, length in enumerate(group_outputs):
            prompts.append([group] * prefix + [1000 * group + member] * own)
            lengths.append(length)
    return Workload.of(RequestPool.from_tokens(prompts, 4), lengths, "groups")


# paper: blendserve 5.2
@given(workloads(), FORMS, st.floats(0, 1))
@settings(deadline=None, max_examples=200)
def test_a_split_never_loses_more_than_t(workload, form, keep):
    """Counted exactly for the sequence, with a cache of one path and no engine."""
    plan = BlendServe(Parameters(split=form, keep_sharing=keep)).plan(
        view_of(workload), np.random.default_rng(0)
    )
    lost = max_saved_tokens(workload.pool) - path_saved_tokens(workload.pool, plan.sequence)
    assert lost <= allowed_loss_tokens(workload.pool, keep)


@given(workloads())
@settings(deadline=None)
def test_nothing_may_be_lost_nothing_is_cut(workload):
    """With t = 0 only children of the root stand alone, in both forms."""
    densities = Densities.of(view_of(workload))
    size = workload.pool.block_tokens
    for loose in (
        relocate_outliers(densities, 0),
        cut_into_units(densities.tree, size, 0),
    ):
        assert cut_cost_tokens(densities.tree, size)[loose].sum() == 0


@given(workloads(), st.integers(0, 500))
@settings(deadline=None)
def test_charges_stay_within_the_budget(workload, budget):
    """The sum of the full charges, which bounds the loss, is itself within t."""
    densities = Densities.of(view_of(workload))
    charge = cut_cost_tokens(densities.tree, workload.pool.block_tokens)
    assert charge[relocate_outliers(densities, budget)].sum() <= budget
    units = cut_into_units(densities.tree, workload.pool.block_tokens, budget)
    assert charge[units].sum() <= budget


def test_outliers_leave_their_group():
    """In each of two dense groups one long answer: both go to the right end (C1)."""
    workload = grouped([[4, 4, 4, 900], [5, 5, 5, 800]])
    densities = Densities.of(view_of(workload))
    assert densities.sorted_order().tolist()[-1] == 3
    loose = relocate_outliers(densities, 80)
    after = densities.sorted_order(loose)
    assert set(after[-2:].tolist()) == {3, 7}
    ordered = densities.compute_s[after], densities.memory_s[after]
    assert misplaced_s(*ordered)[1]


def test_the_long_answer_goes_not_the_many_it_holds_back():
    """A dense group sorts behind a medium one for one long answer; cutting that is cheapest."""
    densities = Densities.of(view_of(grouped([[4, 4, 4, 900], [50, 60, 70]])))
    assert densities.sorted_order().tolist() == [4, 5, 6, 0, 1, 2, 3]
    after = densities.sorted_order(relocate_outliers(densities, 40))
    assert after.tolist() == [0, 1, 2, 4, 5, 6, 3]


def test_the_dearest_outlier_waits_where_t_is_small():
    """A budget for one cut takes the one with more misplaced time per token (C2)."""
    densities = Densities.of(view_of(grouped([[4, 4, 4, 3000], [5, 5, 5, 800]])))
    loose = relocate_outliers(densities, 40)
    k = densities.tree.parent.size
    nodes = np.flatnonzero(loose[:k])
    moved = {*np.flatnonzero(loose[k:]).tolist()}
    moved |= {r for r, node in enumerate(densities.tree.node_of_request) if node in nodes}
    assert moved == {3}


def test_what_falls_already_is_left_alone():
    """C1 at once: one group denser than the other, each sorted within."""
    densities = Densities.of(view_of(grouped([[2, 3, 4], [50, 60, 70]])))
    assert not relocate_outliers(densities, 10**6).any()


# paper: blendserve alg 2
def test_algorithm_2_divides_its_budget():
    """Two groups of four under t: the root hands each half, a cut costs prefix x children."""
    tree = build_tree(grouped([[1] * 4, [1] * 4]).pool)
    assert not cut_into_units(tree, 4, 2 * 160 - 1)[1:].any()
    assert cut_into_units(tree, 4, 2 * 160).sum() == 8


@given(workloads())
@settings(deadline=None)
def test_ample_budget_makes_every_request_a_unit(workload):
    """Algorithm 2 without a limit leaves no two requests together; then order is by density."""
    densities = Densities.of(view_of(workload))
    loose = cut_into_units(densities.tree, workload.pool.block_tokens, 10**9)
    order = densities.sorted_order(loose)
    density = (densities.compute_s / densities.memory_s)[order]
    assert (np.diff(density) <= 1e-9 * density[1:]).all()


@given(st.lists(st.tuples(st.floats(0.1, 9), st.floats(0, 9)), min_size=1, max_size=30))
@settings(deadline=None)
def test_misplaced_time_adds_up_to_nothing(pairs):
    """The fit keeps the total; nothing is misplaced where densities fall."""
    compute, memory = np.array(pairs).T.copy()
    excess, falls = misplaced_s(compute, memory)
    assert excess.sum() == pytest.approx(0, abs=1e-9 * compute.sum() * len(pairs))
    assert falls == (not np.any(compute[1:] * memory[:-1] * (1 - 1e-9) > compute[:-1] * memory[1:]))
    if falls:
        assert not excess.any()
