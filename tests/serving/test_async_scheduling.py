"""vLLM's async scheduling: the scheduler sees the world one step late."""

from dataclasses import replace

import numpy as np
import pytest

from policies.ordering.base import OneEnded
from serving.engine.config import EngineConfig
from serving.engine.problem import make_problem
from serving.engine.reference_async import AsyncReference
from serving.engine.run import as_adaptive, simulate
from serving.estimates import oracle
from serving.pool import RequestPool, Workload
from sim.gpu.hardware import gpu_named
from sim.gpu.models import model_named
from sim.gpu.overlap import overlap_named
from sim.gpu.step_cost import step_costs
from tests.serving.pools import random_workload
from tests.serving.test_engines import assert_equal

COSTS = step_costs(gpu_named("a100-80"), model_named("llama-3-8b"), overlap_named("sum"))
ENGINES = pytest.mark.parametrize("engine", ["fast", "stepwise", "reference"])


def run(workload, blocks, engine="fast", lagging=True, **changes):
    """Run the pool in its own order."""
    config = EngineConfig(COSTS, blocks, async_scheduling=lagging, **changes)
    plan = OneEnded(np.arange(len(workload.pool)))
    return simulate(workload, oracle(workload), plan, config, engine)


def apart(outputs, **changes):
    """Return requests without anything in common, prompts of 4 in blocks of 2."""
    prompts = [[10 * i + j for j in range(4)] for i in range(len(outputs))]
    return Workload.of(RequestPool.from_tokens(prompts, 2, **changes), outputs, "apart")


@ENGINES
def test_memory_of_the_finished_is_free_one_step_later(engine):
    """Three requests, two seats: the third starts a step later than without the lag."""
    workload = apart([2, 6, 2])
    late = run(workload, 50, engine, max_seqs=2)
    prompt = run(workload, 50, engine, lagging=False, max_seqs=2)
    assert (late.finish_ns[0], late.totals.steps) == (prompt.finish_ns[0], prompt.totals.steps)
    # One decode step of the second request alone lies between.
    assert late.first_token_ns[2] > prompt.first_token_ns[2]
    assert prompt.finish_ns[2] < late.finish_ns[2] <= prompt.finish_ns[1]


@ENGINES
def test_where_nothing_else_runs_nobody_waits(engine):
    """One seat: there is no step to schedule ahead, so the next one starts at once."""
    workload = apart([2, 3, 1])
    late, prompt = (run(workload, 50, engine, lag, max_seqs=1) for lag in (True, False))
    assert_equal(late, prompt)


@ENGINES
def test_an_arrival_during_a_step_waits_for_the_next_but_one(engine):
    """It comes in the first step, whose successor is scheduled already."""
    workload = apart([6, 2], arrival_ns=[0, 1])
    late = run(workload, 50, engine, arrivals=True)
    prompt = run(workload, 50, engine, lagging=False, arrivals=True)
    ends = run(apart([6]), 50, engine)
    assert prompt.first_token_ns[1] > ends.first_token_ns[0]
    assert late.totals.steps == prompt.totals.steps
    decode_ns = (ends.finish_ns[0] - ends.first_token_ns[0]) / 5
    gap = late.first_token_ns[1] - prompt.first_token_ns[1]
    assert gap == pytest.approx(decode_ns, rel=0.01)


def test_the_lag_matters_little_and_loses_nothing():
    """Random pools in tight memory: all finish, engines agree, victims that had finished occur."""
    rng, differ = np.random.default_rng(5), 0
    for _ in range(30):
        workload = random_workload(rng, 20, 2)
        late = run(workload, 16, max_batched_tokens=12, max_seqs=8)
        assert_equal(late, run(workload, 16, "reference", max_batched_tokens=12, max_seqs=8))
        prompt = run(workload, 16, lagging=False, max_batched_tokens=12, max_seqs=8)
        assert np.array_equal(late.status, prompt.status)
        assert late.totals.makespan_ns < 1.5 * prompt.totals.makespan_ns
        differ += late.totals != prompt.totals
    assert differ > 20


class Watched(AsyncReference):
    """Notes, whenever admission begins, blocks whose last token is still being computed."""

    seen = 0

    def _admit(self, step):
        for request, full in self.unknown + self.filled:
            for j in full:
                found = self.cache.find(self._prefix_id(request, j))
                assert found is None or request.blocks[j : j + 1] != [found]
                self.seen += 1
        super()._admit(step)


def test_what_decoding_fills_cannot_be_hit_before_its_token_is_known():
    """Random pools in tight memory: no such block is found while the step that fills it runs."""
    rng, seen = np.random.default_rng(6), 0
    for _ in range(20):
        workload = random_workload(rng, 20, 2)
        config = EngineConfig(COSTS, 16, 12, 8, async_scheduling=True)
        plan = OneEnded(np.arange(20))
        problem = make_problem(workload, oracle(workload), config)
        engine = Watched(problem, config, as_adaptive(plan, problem.prompt, 32))
        engine.run()
        assert not engine.filled
        seen += engine.seen
    assert seen > 500


@pytest.mark.parametrize(
    "changes", [{"kv_reserve": 0.5}, {"predict_peak": True}, {"rules": "sglang"}]
)
def test_other_admissions_are_refused(changes):
    """The lag is vLLM's; with another rule it would mean nothing known."""
    config = EngineConfig(COSTS, 8, async_scheduling=True)
    with pytest.raises(ValueError, match="greedy admission only"):
        replace(config, **changes)
