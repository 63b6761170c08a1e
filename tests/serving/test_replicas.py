"""Data-parallel ranks: totals add up, the slowest rank decides, one rank changes nothing."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.ordering.base import FINISHED
from policies.ordering.blendserve import BlendServe
from policies.ordering.prefix_dfs import PrefixDfs
from policies.ordering.ranks import cut_plan
from serving.engine.config import EngineConfig
from serving.engine.replicas import simulate_ranks
from serving.engine.result import ConservationError, Totals
from serving.engine.run import simulate
from serving.estimates import estimate
from serving.tree import build_tree
from sim.gpu.hardware import gpu_named
from sim.gpu.models import model_named
from sim.gpu.overlap import Partial
from sim.gpu.step_cost import step_costs
from tests.serving.pools import random_workload, view_of

COSTS = step_costs(gpu_named("a100-80"), model_named("llama-3-8b"), Partial(0.5), max_tokens=30)


def a_case(seed, order, ranks, n=30):
    """Return what `simulate_ranks` wants, and the uncut plan."""
    rng = np.random.default_rng(seed)
    workload = random_workload(rng, n, 2)
    guess = estimate(workload, build_tree(workload.pool), "sample", 0.2, rng)
    view = view_of(workload, guess.output_tokens, 120)
    plan = order().plan(view, rng)
    config = EngineConfig(COSTS, 60, max_batched_tokens=30, max_seqs=8)
    return workload, guess, plan, cut_plan(plan, view, guess.run_first, ranks), config


@given(st.integers(0, 2**31), st.sampled_from([PrefixDfs, BlendServe]), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_ranks_run_their_shares_and_nothing_else(seed, order, ranks):
    """Each share alone gives the same; totals are sums, the makespan and series the longest's."""
    workload, guess, _, shares, config = a_case(seed, order, ranks)
    together = simulate_ranks(workload, guess, shares, config)
    alone = []
    for share in shares:
        first = np.flatnonzero(np.isin(share.requests, guess.run_first))
        own = type(guess)(guess.output_tokens[share.requests], first)
        alone.append(simulate(workload.subset(share.requests), own, share.plan, config))
    whole = together.whole
    for field in fields(Totals):
        values = [getattr(result.totals, field.name) for result in alone]
        joined = max(values) if field.name == "makespan_ns" else sum(values)
        assert getattr(whole.totals, field.name) == joined
    for result, share in zip(alone, shares, strict=True):
        assert np.array_equal(whole.finish_ns[share.requests], result.finish_ns)
        assert np.array_equal(whole.hit_tokens[share.requests], result.hit_tokens)
    assert whole.finish_ns.max() == whole.totals.makespan_ns == together.makespan_ns.max()
    assert (whole.status == FINISHED).all()
    assert 1 / ranks <= together.balance <= 1


def test_one_rank_is_the_engine_itself():
    """Not a nanosecond differs."""
    workload, guess, plan, shares, config = a_case(5, BlendServe, 1)
    assert (
        simulate_ranks(workload, guess, shares, config).whole.totals
        == simulate(workload, guess, plan, config).totals
    )


def test_lost_requests_are_noticed():
    """Shares that do not make up the pool are refused."""
    workload, guess, _, shares, config = a_case(1, PrefixDfs, 3)
    with pytest.raises(ConservationError, match="once"):
        simulate_ranks(workload, guess, shares[:2], config)


@pytest.mark.parametrize("order", [PrefixDfs, BlendServe])
def test_equal_requests_scale_with_the_ranks(order):
    """Where nothing is shared and all are alike, two ranks take half of the time."""
    workload, guess, plan, shares, config = a_case(2, order, 2, n=400)
    halved = simulate_ranks(workload, guess, shares, config).whole.totals.makespan_ns
    alone = simulate(workload, guess, plan, config).totals.makespan_ns
    assert halved == pytest.approx(alone / 2, rel=0.1)
