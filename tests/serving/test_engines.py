"""The fast engine equals the reference, nanosecond by nanosecond, and both keep the laws."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.ordering.base import (
    FINISHED,
    NEW,
    NOT_NOW,
    ORDERS,
    REJECTED,
    RUNNING,
    OneEnded,
    TwoEnded,
    later,
)
from policies.ordering.blendserve import BlendServe, Parameters
from policies.ordering.dual_scan import DualScan
from serving.engine.config import EngineConfig
from serving.engine.result import OrderError
from serving.engine.run import simulate
from serving.engine.series import STEP_NS
from serving.estimates import Estimate, estimate, oracle
from serving.pool import RequestPool, Workload
from serving.sharing import max_saved_tokens
from serving.tree import build_tree, dfs_order
from sim.gpu.hardware import gpu_named
from sim.gpu.models import model_named
from sim.gpu.overlap import WHAT_IF, overlap_named
from sim.gpu.step_cost import step_costs
from tests.serving.pools import random_workload, view_of

NO_SAMPLE = np.empty(0, np.int64)
OVERLAPS = [
    {"kind": "sum"},
    {"kind": "max"},
    {"kind": "partial", "h": 0.37},
    {"kind": "interference"},
    {"kind": "surface", "coefficients": (0.9, -0.6, 0.5)},
]


class Moody:
    """An adaptive plan that depends on all it sees, and sometimes says "not now"."""

    def next(self, batch):
        new = np.flatnonzero(batch.status == NEW)
        mood = batch.time_ns + int(batch.context_tokens.sum()) + 3 * batch.free_blocks
        mood += batch.budget_tokens + len(batch.running) + int(batch.generated_tokens.sum())
        mood += batch.step + batch.cached_tokens(int(new[0]))
        if len(batch.running) and mood % 3 == 0:
            return later(mood % 5) if mood % 2 else NOT_NOW
        return int(new[mood % new.size])


@dataclass
class Case:
    """One random run."""

    workload: Workload
    estimate: Estimate
    config: EngineConfig
    order: str
    paced: bool
    variant: Parameters = field(default_factory=Parameters)


VARIANTS = st.builds(
    Parameters,
    split=st.sampled_from(["none", "relocate", "cut"]),
    keep_sharing=st.sampled_from([0.99, 0.5]),
    unit=st.sampled_from(["request", "node"]),
    merge=st.booleans(),
    scan=st.sampled_from(["dual", "dual", "fixed"]),
    budgets=st.booleans(),
    charge=st.sampled_from(["whole", "shared"]),
)


@st.composite
def cases(draw):
    """Strategy: pools with much sharing, tight to loose KV, every order and overlap."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    size = draw(st.sampled_from([1, 2, 4]))
    workload = random_workload(rng, draw(st.integers(1, 24)), size)
    kind = draw(st.sampled_from(["oracle", "mean", "sample"]))
    guess = estimate(workload, build_tree(workload.pool), kind, 0.3, rng)
    overlap = overlap_named(**draw(st.sampled_from(OVERLAPS)))
    # A slow memory makes both parts of a step matter at these tiny batches.
    shape = (gpu_named("a100-80"), model_named("llama-3-8b"), overlap)
    costs = step_costs(*shape, max_tokens=30, alternatives=[*WHAT_IF.values()])
    costs = costs._replace(dense_ns=1000.3 + 31.7 * np.arange(31), kv_token_ns=777.7)
    sglang = draw(st.integers(0, 3)) == 0
    reserve = 0.0 if sglang else draw(st.sampled_from([0.0, 0.5, 1.0, -1.0]))
    lagging = not sglang and reserve == 0 and draw(st.booleans())
    priority = not sglang and reserve == 0 and not lagging and draw(st.booleans())
    config = EngineConfig(
        costs,
        kv_blocks=draw(st.sampled_from([6, 8, 10, 12, 14, 18, 24, 60])),
        max_batched_tokens=draw(st.integers(1, 30)),
        max_seqs=draw(st.integers(1, 12)),
        kv_reserve=max(0.0, reserve),
        predict_peak=reserve < 0,
        reserve_prompt=not sglang and draw(st.booleans()),
        rules="sglang" if sglang else "vllm",
        async_scheduling=lagging,
        priority=priority,
        prefix_caching=draw(st.booleans()),
        arrivals=kind != "sample" and draw(st.booleans()),
    )
    return Case(
        workload,
        guess,
        config,
        "shuffled" if priority else draw(st.sampled_from([*ORDERS.names(), "moody"])),
        draw(st.booleans()),
        draw(VARIANTS),
    )


def plan_of(case):
    """Return a fresh plan."""
    if case.order == "moody":
        return Moody()
    capacity = case.config.kv_blocks * case.workload.pool.block_tokens
    view = view_of(case.workload, case.estimate.output_tokens, capacity)
    known = {"blendserve": lambda: BlendServe(case.variant)}
    order = known.get(case.order, ORDERS.get(case.order))()
    plan = order.plan(view, np.random.default_rng(1))
    if isinstance(plan, TwoEnded) and case.paced:
        output = case.estimate.output_tokens[plan.sequence]
        limits = np.random.default_rng(2).integers(0, 12, len(output))
        plan = replace(plan, output_tokens=output, relocate_at=limits)
    return plan


def assert_equal(a, b):
    """Every number of two results is the same."""
    columns = ("status", "first_token_ns", "finish_ns", "hit_tokens", "preempted")
    for name in (*columns, "series", "what_if_ns"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    assert a.totals == b.totals


@given(cases())
@settings(deadline=None, max_examples=150)
def test_fast_stepwise_and_reference_are_equal(case):
    """Times, hits, preemptions, steps and series agree bit for bit."""
    results = [
        simulate(case.workload, case.estimate, plan_of(case), case.config, engine)
        for engine in ("reference", "fast", "stepwise")
    ]
    assert_equal(results[0], results[1])
    assert_equal(results[0], results[2])


def test_the_random_cases_reach_the_hard_rules():
    """Preemptions, hits on resumption and jumps do occur: else the comparison says little."""
    rng, found = np.random.default_rng(0), {"preempted": 0, "hit on resumption": 0}
    costs = step_costs(gpu_named("a100-80"), model_named("llama-3-8b"), overlap_named("sum"))
    for _ in range(30):
        workload = random_workload(rng, 20, 2)
        config = EngineConfig(costs, 16, max_batched_tokens=12, max_seqs=8)
        plan = OneEnded(np.arange(20))
        results = [
            simulate(workload, oracle(workload), plan, config, engine)
            for engine in ("reference", "fast", "stepwise")
        ]
        assert_equal(results[0], results[1])
        assert_equal(results[0], results[2])
        found["preempted"] += results[0].totals.preemptions
        found["hit on resumption"] += results[0].totals.resume_hit_tokens
    assert min(found.values()) > 30, found


@given(cases())
@settings(deadline=None, max_examples=60)
def test_priority_is_the_plan_where_all_are_there(case):
    """Without arrivals, vLLM's two policies do the same; with a cache off, nothing is hit."""
    plain = replace(case.config, arrivals=False, kv_reserve=0.0, predict_peak=False)
    plain = replace(plain, rules="vllm", async_scheduling=False, priority=False)
    plan = OneEnded(np.random.default_rng(3).permutation(len(case.workload.pool)))
    first = simulate(case.workload, oracle(case.workload), plan, plain)
    urgent = replace(plain, priority=True)
    assert_equal(first, simulate(case.workload, oracle(case.workload), plan, urgent))
    if not case.config.prefix_caching:
        assert first.totals.first_hit_tokens == first.totals.resume_hit_tokens == 0


def test_empty_blocks_are_reused_before_cached_ones():
    """A request's half-full last block goes first: the prefix behind it survives (vLLM 0.32)."""
    prompts = [[1, 2, 3, 4, 5], [6], [7], [8], [1, 2, 3, 4, 9]]
    workload = Workload.of(RequestPool.from_tokens(prompts, 2), [1] * 5, "in turn")
    for engine in ("fast", "reference"):
        config = ample(4, max_seqs=1)
        result = simulate(workload, oracle(workload), OneEnded(np.arange(5)), config, engine)
        assert result.hit_tokens.tolist() == [0, 0, 0, 0, 4]


def test_the_least_urgent_goes_first():
    """A late but urgent request makes the least urgent one of those that run give way."""
    pool = RequestPool.from_tokens([[1, 2], [3, 4], [5, 6]], 2, [0, 0, 1])
    workload = Workload.of(pool, [9, 9, 9], "growing")
    plan = OneEnded(np.array([2, 1, 0]))
    for engine in ("fast", "reference"):
        config = ample(9, arrivals=True, priority=True)
        result = simulate(workload, oracle(workload), plan, config, engine)
        assert result.preempted[0] > 0
        assert result.preempted[2] == 0


@given(cases())
@settings(deadline=None, max_examples=60)
def test_two_ended_kernel_equals_its_adaptive_form(case):
    """The compiled dual scan and `DualScan` in Python admit the same requests."""
    case.order, case.config = "blendserve", replace(case.config, priority=False)
    plan = plan_of(case)
    adaptive = DualScan(
        plan,
        case.workload.pool.prompt_tokens,
        case.config.kv_blocks * case.workload.pool.block_tokens,
    )
    compiled = simulate(case.workload, case.estimate, plan, case.config)
    assert_equal(compiled, simulate(case.workload, case.estimate, adaptive, case.config))


class Audited(DualScan):
    """A dual scan that looks into the batch when it answers: what is booked there, in all?"""

    def next(self, batch):
        """Answer, and check the memory that the answer books, unless nothing runs."""
        request = super().next(batch)
        if request >= 0 and batch.running.size:
            booked = self._used(batch, 0) + self._used(batch, 1)
            running = {int(r) for r in batch.running}
            assert running >= {r for r in self._accounts if batch.status[r] == RUNNING}
            mine = self.plan.footprint_tokens[self._place[request]]
            assert booked + mine <= self.capacity_tokens
        return request


@given(cases())
@settings(deadline=None, max_examples=60)
def test_the_scanner_never_books_more_than_the_cache_holds(case):
    """At every admission beside running requests the two accounts are within M."""
    case.order, case.config = "blendserve", replace(case.config, priority=False)
    capacity = case.config.kv_blocks * case.workload.pool.block_tokens
    audited = Audited(plan_of(case), case.workload.pool.prompt_tokens, capacity)
    simulate(case.workload, case.estimate, audited, case.config, "reference")


@given(cases(), st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_permuting_the_pool_permutes_the_outcome(case, seed):
    """With estimates that no two requests share, names of requests play no part."""
    n = len(case.workload.pool)
    rng = np.random.default_rng(seed)
    guess = Estimate(rng.uniform(1, 30, n), NO_SAMPLE)
    case.order, case.estimate, case.paced = "blendserve", guess, False
    moved = rng.permutation(n)
    other = replace(case, workload=case.workload.subset(moved))
    other.estimate = Estimate(guess.output_tokens[moved], NO_SAMPLE)
    case.config = other.config = replace(case.config, arrivals=False, priority=False)
    first = simulate(case.workload, case.estimate, plan_of(case), case.config)
    second = simulate(other.workload, other.estimate, plan_of(other), other.config)
    assert np.array_equal(first.finish_ns[moved], second.finish_ns)
    assert np.array_equal(first.hit_tokens[moved], second.hit_tokens)


@given(cases())
@settings(deadline=None, max_examples=60)
def test_causality_and_conservation(case):
    """First tokens precede last ones, the end is the last finish, rejected ones cannot fit."""
    result = simulate(case.workload, case.estimate, plan_of(case), case.config)
    done = result.status == FINISHED
    assert (result.first_token_ns[done] <= result.finish_ns[done]).all()
    assert (result.finish_ns[~done] == -1).all()
    if done.any():
        assert result.totals.makespan_ns == result.finish_ns.max()
    size = case.workload.pool.block_tokens
    stored = case.workload.pool.prompt_tokens + case.workload.output_tokens - 1
    fits = -(-stored // size) <= case.config.kv_blocks
    assert np.array_equal(done, fits)


@given(cases())
@settings(deadline=None, max_examples=60)
def test_busy_times_bound_the_makespan(case):
    """max of the two sums <= makespan <= their sum, up to rounding per step."""
    result = simulate(case.workload, case.estimate, plan_of(case), case.config)
    t = result.totals
    assert max(t.compute_ns, t.memory_ns) - 2 * t.steps <= t.makespan_ns
    assert t.makespan_ns == int(result.series[:, STEP_NS].sum())
    waiting = int(case.workload.pool.arrival_ns.max()) if case.config.arrivals else 0
    assert t.makespan_ns <= t.compute_ns + t.memory_ns + 2 * t.steps + waiting


def ample(blocks=10_000, **changes):
    """Return a configuration without shortage."""
    costs = step_costs(gpu_named("a100-80"), model_named("llama-3-8b"), overlap_named("max"))
    return EngineConfig(costs, blocks, **changes)


def test_what_if_times_are_those_of_runs_under_that_model():
    """One run tells the makespan under every overlap model; partial lies on the line between."""
    rng, h = np.random.default_rng(3), 0.37
    workload, shape = random_workload(rng, 40, 2), (gpu_named("a100-80"), model_named("llama-3-8b"))

    def run(overlap, alternatives=()):
        costs = step_costs(*shape, overlap, max_tokens=30, alternatives=alternatives)
        costs = costs._replace(dense_ns=1000.3 + 31.7 * np.arange(31), kv_token_ns=777.7)
        config = EngineConfig(costs, 24, max_batched_tokens=12, max_seqs=8)
        return simulate(workload, oracle(workload), OneEnded(np.arange(40)), config)

    partial = run(overlap_named("partial", h=h), [*WHAT_IF.values()])
    alone = [run(model).totals.makespan_ns for model in WHAT_IF.values()]
    assert partial.what_if_ns.tolist() == alone
    between = (1 - h) * alone[0] + h * alone[1]
    assert partial.totals.makespan_ns == pytest.approx(between, abs=partial.totals.steps)


@pytest.mark.parametrize("seed", range(8))
def test_depth_first_reaches_maximal_sharing_when_nothing_is_evicted(seed):
    """With room for everything the engine saves exactly what the closed form says."""
    workload = random_workload(np.random.default_rng(seed), 40, 2)
    plan = OneEnded(dfs_order(build_tree(workload.pool)))
    result = simulate(workload, oracle(workload), plan, ample(max_batched_tokens=16))
    assert result.totals.first_hit_tokens == max_saved_tokens(workload.pool)
    assert result.totals.preemptions == 0


def test_one_request_alone_takes_known_steps():
    """p tokens in ceil(p / budget) steps, then one step per further output token."""
    workload = Workload.of(RequestPool.from_tokens([list(range(10))], 4), [5], "one")
    plan = OneEnded(np.array([0]))
    result = simulate(workload, oracle(workload), plan, ample(max_batched_tokens=4))
    assert result.totals.steps == 3 + 4
    assert result.totals.scheduled_tokens == 10 + 4


def test_requests_of_one_step_hit_each_other():
    """Six equal prompts: one computes them, five find all but the last block (vLLM does so)."""
    workload = Workload.of(RequestPool.from_tokens([[7] * 8] * 6, 4), [2] * 6, "equal")
    result = simulate(workload, oracle(workload), OneEnded(np.arange(6)), ample())
    assert result.hit_tokens.tolist() == [0, 4, 4, 4, 4, 4]
    assert result.totals.steps == 2


def test_tight_memory_preempts_from_the_tail():
    """Two growing requests in too little memory: the younger one is the victim."""
    pool = RequestPool.from_tokens([[1, 2], [3, 4]], 2)
    workload = Workload.of(pool, [8, 8], "growing")
    plan = OneEnded(np.array([0, 1]))
    result = simulate(workload, oracle(workload), plan, ample(6), engine="reference")
    assert result.preempted.tolist() == [0, 1]
    assert result.totals.dropped_tokens > 0
    reserved = simulate(workload, oracle(workload), plan, ample(6, kv_reserve=1.0))
    assert reserved.totals.preemptions == 0


def test_what_can_never_fit_is_rejected_and_told():
    """A too long request is counted, the others finish."""
    pool = RequestPool.from_tokens([[1] * 50, [2] * 4], 2)
    workload = Workload.of(pool, [1, 1], "long")
    result = simulate(workload, oracle(workload), OneEnded(np.array([0, 1])), ample(10))
    assert result.status.tolist() == [REJECTED, FINISHED]


class Stubborn:
    """A plan with one answer."""

    def __init__(self, answer):
        self.answer = answer

    def next(self, batch):
        """Return the same answer whatever happens."""
        return self.answer


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (OneEnded(np.array([0, 0])), "permutation"),
        (OneEnded(np.array([0.0, 1.0])), "permutation"),
        (Stubborn(NOT_NOW), "admits nothing"),
        (Stubborn(5), "not new"),
        (Stubborn(0), "not new"),
    ],
)
def test_faulty_plans_end_in_a_clear_error(engine, plan, message):
    """A plan that repeats, stalls or invents requests is an `OrderError`."""
    workload = Workload.of(RequestPool.from_tokens([[1], [2]], 1), [3, 3], "two")
    with pytest.raises(OrderError, match=message):
        simulate(workload, oracle(workload), plan, ample(), engine=engine)


@pytest.mark.parametrize("engine", ["fast", "stepwise", "reference"])
def test_nothing_starts_before_it_arrives(engine):
    """Time jumps to the first arrival; a lone request runs from there; the next one waits."""
    pool = RequestPool.from_tokens([[1] * 4, [2] * 4], 2, arrival_ns=[10**9, 3 * 10**9])
    workload = Workload.of(pool, [2, 2], "apart")
    config = ample(arrivals=True)
    result = simulate(workload, oracle(workload), OneEnded(np.array([0, 1])), config, engine)
    alone = result.finish_ns[0] - 10**9
    assert 0 < alone < 10**9
    assert result.finish_ns[1] - 3 * 10**9 == alone
    assert result.totals.steps == 4


def test_a_whole_prompt_must_fit_where_prompts_are_reserved():
    """Two prompts of 8 blocks in 12: greedy admission begins the second one's first chunk."""
    pool = RequestPool.from_tokens([list(range(16)), list(range(20, 36))], 2)
    workload = Workload.of(pool, [1, 1], "two prompts")
    config = ample(12, max_batched_tokens=20, reserve_prompt=True)
    result = simulate(workload, oracle(workload), OneEnded(np.array([0, 1])), config)
    assert result.totals.steps == 2
    config = replace(config, reserve_prompt=False)
    greedy = simulate(workload, oracle(workload), OneEnded(np.array([0, 1])), config)
    assert greedy.totals.steps == 2
    assert greedy.first_token_ns[0] > result.first_token_ns[0]


def test_a_sample_and_arrivals_exclude_each_other():
    """There is nothing to sample before requests have come."""
    workload = random_workload(np.random.default_rng(0), 5, 2)
    guess = Estimate(workload.output_tokens.astype(float), np.array([1]))
    with pytest.raises(ValueError, match="sample cannot be run first"):
        simulate(workload, guess, OneEnded(np.arange(5)), ample(arrivals=True))


def test_empty_pool_takes_no_time():
    """No request, no step."""
    workload = Workload.of(RequestPool.from_tokens([], 4), [], "none")
    for engine in ("fast", "reference"):
        result = simulate(workload, oracle(workload), OneEnded(NO_SAMPLE), ample(), engine=engine)
        assert result.totals.steps == 0


def test_the_sample_finishes_before_the_rest_begins():
    """No other request gets a token before the last sampled one is done."""
    workload = random_workload(np.random.default_rng(2), 30, 2)
    guess = Estimate(workload.output_tokens.astype(float), np.array([3, 8, 20]))
    result = simulate(workload, guess, OneEnded(np.arange(30)), ample(max_batched_tokens=16))
    rest = np.setdiff1d(np.arange(30), guess.run_first)
    assert result.first_token_ns[rest].min() > result.finish_ns[guess.run_first].max()
