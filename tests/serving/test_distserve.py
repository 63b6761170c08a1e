"""DistServe's xPyD: a case by hand, conservation at each event, bounds from both sides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.ordering.base import FINISHED, REJECTED, OneEnded
from serving.engine.config import EngineConfig
from serving.engine.distserve import Disaggregation, simulate_disaggregated
from serving.engine.result import OrderError
from serving.estimates import Estimate, oracle
from serving.pool import RequestPool, Workload
from serving.sharing import max_saved_tokens
from serving.tree import build_tree, dfs_order
from sim.gpu.hardware import gpu_named
from sim.gpu.models import model_named
from sim.gpu.overlap import Sum
from sim.gpu.step_cost import step_costs
from tests.serving.pools import random_workload

TOKEN_NS, KV_NS = 100.0, 1.0
COSTS = step_costs(gpu_named("a100-80"), model_named("llama-3-8b"), Sum(), max_tokens=40)
COSTS = COSTS._replace(dense_ns=TOKEN_NS * np.arange(41), pair_ns=0.0, kv_token_ns=KV_NS)


def ran(workload, x, y, *, kv=1000, budget=40, seats=40, transfer=10.0):
    """Run the pool in depth-first order, checking every event."""
    config = EngineConfig(COSTS, kv, max_batched_tokens=budget, max_seqs=seats)
    plan = OneEnded(dfs_order(build_tree(workload.pool)))
    layout = Disaggregation(x, y, transfer)
    return simulate_disaggregated(workload, oracle(workload), plan, config, layout, 1)


@st.composite
def layouts(draw):
    """Strategy: a random pool and a random cluster, KV from too tight for some to ample."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    workload = random_workload(rng, draw(st.integers(1, 30)), draw(st.sampled_from([1, 2, 4])))
    settings_ = {
        "kv": draw(st.sampled_from([8, 12, 20, 40, 1000])),
        "budget": draw(st.integers(1, 40)),
        "seats": draw(st.integers(1, 12)),
        "transfer": draw(st.sampled_from([0.0, 0.3, 50.0, 5000.0])),
    }
    return workload, draw(st.integers(1, 3)), draw(st.integers(1, 3)), settings_


# paper: blendserve fig 8
def test_three_requests_by_hand():
    """A and B fill a prefill step, B ends with it; A moves while C is computed, then decodes."""
    pool = RequestPool.from_tokens([[1, 2, 3], [4, 5], [6, 7, 8, 9]], 1)
    result = ran(Workload.of(pool, [3, 1, 2], "by hand"), 1, 1, budget=5)
    whole = result.whole
    # A: step of 5 tokens to 500; 3 tokens sent to 530; steps of 100 + 4 and 100 + 5.
    # C: 4 tokens from 500 to 900; sent to 940; one step of 100 + 5.
    assert whole.first_token_ns.tolist() == [500, 500, 900]
    assert whole.finish_ns.tolist() == [739, 500, 1045]
    totals = whole.totals
    assert (totals.makespan_ns, totals.steps) == (1045, 5)
    assert (totals.compute_ns, totals.memory_ns) == (1200, 14)
    assert result.busy_ns.tolist() == [900, 314]
    assert result.steps.tolist() == [2, 3]


def test_kv_waits_on_the_prefill_side_until_there_is_room():
    """Two prompts of 4, room for one with its output: the second is sent when the first ends."""
    pool = RequestPool.from_tokens([[1, 2, 3, 4], [5, 6, 7, 8]], 1)
    whole = ran(Workload.of(pool, [3, 3], "tight"), 1, 1, kv=8).whole
    # Both computed at 800; A decodes from 840 with steps of 105 and 106, to 1051; B is sent then.
    assert whole.finish_ns.tolist() == [1051, 1051 + 40 + 105 + 106]


@given(layouts())
@settings(max_examples=150, deadline=None)
def test_laws_of_random_clusters(case):
    """All is done or rejected, no side is faster than its own optimum, times are in order."""
    workload, x, y, limits = case
    result = ran(workload, x, y, **limits)
    whole, pool = result.whole, workload.pool
    done = whole.status == FINISHED
    stored = -(-(pool.prompt_tokens + workload.output_tokens - 1) // pool.block_tokens)
    assert np.array_equal(whole.status == REJECTED, stored > limits["kv"])
    assert (whole.first_token_ns[done] <= whole.finish_ns[done]).all()
    assert whole.finish_ns.max(initial=0) in (whole.totals.makespan_ns, -1)
    assert (result.busy_ns <= whole.totals.makespan_ns).all()
    p, d = pool.prompt_tokens[done], workload.output_tokens[done]
    computed = p.sum() - max_saved_tokens(workload.subset(np.flatnonzero(done)).pool)
    read = ((d - 1) * (p + 1) + (d - 1) * (d - 2) // 2).sum()
    emitted = (d - 1).sum()
    assert whole.totals.makespan_ns >= TOKEN_NS * computed / x
    moving = np.ceil(limits["transfer"] * p[d > 1]).sum()
    assert whole.totals.makespan_ns >= moving / min(x, y)
    if whole.totals.preemptions == 0:  # one who comes back gets a token from the prefill side
        assert whole.totals.makespan_ns >= (TOKEN_NS * emitted + KV_NS * read) / y


@given(layouts())
@settings(max_examples=60, deadline=None)
def test_runs_repeat(case):
    """The same bytes twice."""
    workload, x, y, limits = case
    a, b = (ran(workload, x, y, **limits).whole for _ in range(2))
    assert np.array_equal(a.finish_ns, b.finish_ns)
    assert a.totals == b.totals


@given(layouts())
@settings(max_examples=100, deadline=None)
def test_decode_instances_help(case):
    """An instance for each request is fastest; any number beats one, but for one step's wait.

    From y to y + 1 it need not be faster: who decodes beside whom changes (Graham's anomaly).
    """
    workload, x, y, limits = case
    ample = limits | {"kv": 5000, "seats": 40, "budget": 40}
    n = len(workload.pool)
    one, some, each = (
        ran(workload, x, count, **ample).whole.totals.makespan_ns for count in (1, y, n)
    )
    longest_step = TOKEN_NS * n + KV_NS * (workload.pool.prompt_tokens + 25).sum()
    assert each <= min(one, some)
    assert some <= one + longest_step


def test_one_prefill_instance_in_depth_first_order_saves_the_most():
    """Ample KV: the maximal sharing; two instances store a prefix twice at most."""
    workload = random_workload(np.random.default_rng(4), 60, 2)
    most = max_saved_tokens(workload.pool)
    hits = [ran(workload, x, 1).whole.totals.first_hit_tokens for x in (1, 2)]
    assert hits[0] == most
    assert 0 < hits[1] <= most


def test_tight_decode_memory_preempts_and_still_ends():
    """Outputs grow beyond the cache: the last comer is computed again."""
    workload = random_workload(np.random.default_rng(8), 40, 2, longest_output=30)
    whole = ran(workload, 1, 1, kv=25).whole
    assert whole.totals.preemptions > 5
    assert whole.totals.dropped_tokens > 0
    assert (whole.status == FINISHED).all()


def test_what_it_cannot_run_is_refused():
    """A sample, a plan of another kind, a missing request, a cluster without a side."""
    workload = random_workload(np.random.default_rng(0), 4, 2)
    config, layout = EngineConfig(COSTS, 50, 40, 8), Disaggregation(1, 1, 1.0)
    sampled = Estimate(np.ones(4), np.array([1]))
    with pytest.raises(OrderError, match="no sample"):
        simulate_disaggregated(workload, sampled, OneEnded(np.arange(4)), config, layout)
    with pytest.raises(OrderError, match="permutation"):
        simulate_disaggregated(workload, oracle(workload), OneEnded(np.arange(3)), config, layout)
    with pytest.raises(ValueError, match=">= 1"):
        Disaggregation(0, 1, 1.0)
