"""Cutting a plan over ranks: nothing is lost, at most a path per cut, and work is balanced."""

import itertools
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.ordering.base import NEW, OneEnded, TwoEnded
from policies.ordering.blendserve import BlendServe, Parameters
from policies.ordering.prefix_dfs import PrefixDfs
from policies.ordering.ranks import cut_plan
from serving.pool import Workload
from serving.sharing import apportioned_tokens
from tests.serving.pools import RESOURCES, random_workload, view_of, workloads

NOBODY = np.empty(0, np.int64)
RANKS = st.integers(1, 7)
ORDERS = st.sampled_from([PrefixDfs, BlendServe])
# Without splits the sequence is depth-first, and what a cut loses is known exactly.
DEPTH_FIRST = st.sampled_from([PrefixDfs, partial(BlendServe, Parameters(split="none"))])


def planned(order, workload):
    """Return the view and the order's plan."""
    view = view_of(workload)
    return view, order().plan(view, np.random.default_rng(0))


def held_blocks(pool, requests):
    """Return the distinct prefix blocks of some requests."""
    owned = [pool.block_ids[pool.block_offsets[r] : pool.block_offsets[r + 1]] for r in requests]
    return set(np.concatenate(owned).tolist()) if owned else set()


def in_pool(share):
    """Return the share's sequence in the pool's numbering."""
    return share.requests[share.plan.sequence]


def pieces_of(sequence, shares):
    """Return the pool's sequence in pieces: runs of neighbours that one rank holds."""
    owner = np.empty(sequence.size, np.int64)
    for rank, share in enumerate(shares):
        owner[share.requests] = rank
    cuts = np.flatnonzero(np.diff(owner[sequence])) + 1
    return np.split(sequence, cuts)


@given(workloads(40), ORDERS, RANKS, st.integers(0, 6))
@settings(deadline=None)
def test_each_request_has_one_rank_and_the_order_is_kept(workload, order, ranks, sampled):
    """Shares partition the pool; each runs its requests in the plan's order."""
    view, plan = planned(order, workload)
    run_first = np.arange(min(sampled, len(workload.pool)))
    shares = cut_plan(plan, view, run_first, ranks)
    assert len(shares) == ranks
    held = np.concatenate([share.requests for share in shares])
    assert sorted(held.tolist()) == list(range(len(workload.pool)))
    place = np.argsort(plan.sequence)
    for share in shares:
        assert (np.diff(share.requests) > 0).all()
        assert (np.diff(place[in_pool(share)]) > 0).all()
    dealt = [np.isin(share.requests, run_first).sum() for share in shares]
    assert max(dealt) - min(dealt) <= 1


@given(workloads(40), ORDERS, RANKS)
@settings(deadline=None)
def test_pieces_are_few(workload, order, ranks):
    """One piece a rank from one end; two from both, but for the middle one."""
    view, plan = planned(order, workload)
    shares = cut_plan(plan, view, NOBODY, ranks)
    pieces = pieces_of(plan.sequence, shares)
    assert len(pieces) <= (ranks if isinstance(plan, OneEnded) else 2 * ranks - 1)


# paper: blendserve 5.5
@given(workloads(40), DEPTH_FIRST, RANKS)
@settings(deadline=None)
def test_a_cut_loses_one_path_at_most(workload, order, ranks):
    """Blocks stored by all pieces = distinct blocks + what the neighbours of each cut share."""
    view, plan = planned(order, workload)
    pool = workload.pool
    shares = cut_plan(plan, view, NOBODY, ranks)
    pieces = pieces_of(plan.sequence, shares)
    at_cuts = sum(
        len(held_blocks(pool, before[-1:]) & held_blocks(pool, after[:1]))
        for before, after in itertools.pairwise(pieces)
    )
    whole = len(held_blocks(pool, plan.sequence))
    assert sum(len(held_blocks(pool, piece)) for piece in pieces) == whole + at_cuts
    stored = sum(len(held_blocks(pool, share.requests)) for share in shares)
    assert whole <= stored <= whole + at_cuts
    if isinstance(plan, OneEnded):
        assert stored == whole + at_cuts


@given(workloads(40), ORDERS, st.integers(1, 6))
@settings(deadline=None)
def test_ranks_differ_by_one_request_of_work_at_most(workload, order, ranks):
    """No rank is further from an even share than the largest request."""
    view, plan = planned(order, workload)
    output = view.estimated_output_tokens
    work = RESOURCES.comp_s(apportioned_tokens(workload.pool) + output)
    work = work + RESOURCES.mem_s(workload.pool.prompt_tokens, output)
    shares = cut_plan(plan, view, NOBODY, ranks)
    loads = np.array([work[share.requests].sum() for share in shares])
    assert np.abs(loads - work.sum() / ranks).max() <= work.max() * (1 + 1e-9)


@given(workloads(40), ORDERS)
@settings(deadline=None)
def test_one_rank_gets_the_plan_itself(workload, order):
    """Nothing changes with a single rank."""
    view, plan = planned(order, workload)
    (share,) = cut_plan(plan, view, NOBODY, 1)
    assert np.array_equal(in_pool(share), plan.sequence)
    if isinstance(plan, TwoEnded):
        assert np.array_equal(share.plan.density, plan.density)
        assert np.array_equal(share.plan.footprint_tokens, plan.footprint_tokens)
        assert share.plan.root_density == plan.root_density
        assert share.plan.fixed_left_share == plan.fixed_left_share


@given(workloads(40), ORDERS, RANKS, st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_the_truth_decides_nothing(workload, order, ranks, seed):
    """With equal estimates, other true lengths are cut at the same places."""
    rng = np.random.default_rng(seed)
    estimates, others = rng.integers(1, 30, (2, len(workload.pool)))
    cuts = []
    for made in (workload, Workload.of(workload.pool, others, "other lengths")):
        view = view_of(made, estimates)
        cuts.append(cut_plan(order().plan(view, np.random.default_rng(0)), view, NOBODY, ranks))
    for a, b in zip(*cuts, strict=True):
        assert np.array_equal(a.requests, b.requests)


def test_two_ended_ranks_have_nearly_the_roots_density():
    """Compute-heavy and memory-heavy requests in equal numbers: each rank gets both."""
    rng = np.random.default_rng(3)
    workload = random_workload(rng, 4000, 4, longest_prompt=200, longest_output=400)
    view, plan = planned(BlendServe, workload)
    shares = cut_plan(plan, view, NOBODY, 4)
    assert [s.plan.root_density for s in shares] == pytest.approx([plan.root_density] * 4, rel=0.01)


def test_an_adaptive_plan_is_refused():
    """It says what it is, and what is allowed."""

    class Asks:
        def next(self, batch):
            return int(np.flatnonzero(batch.status == NEW)[0])

    view = view_of(random_workload(np.random.default_rng(0), 5, 2))
    with pytest.raises(ValueError, match=r"Asks decides while the batch runs.*ranks = 1"):
        cut_plan(Asks(), view, NOBODY, 2)


def test_more_ranks_than_requests_leave_some_idle():
    """Nothing breaks, and nothing is invented."""
    view, plan = planned(PrefixDfs, random_workload(np.random.default_rng(0), 3, 2))
    shares = cut_plan(plan, view, NOBODY, 8)
    assert sorted(len(s.requests) for s in shares) == [0, 0, 0, 0, 0, 1, 1, 1]
