"""SGLang's rules: prefill and decode apart, expected memory, retraction."""

from dataclasses import replace

import numpy as np
import pytest

from policies.ordering.base import OneEnded
from serving.engine.config import EngineConfig
from serving.engine.run import simulate
from serving.engine.sglang_rules import (
    LEAST_RATIO,
    MICRO,
    START_RATIO,
    decayed,
    ratio_after_retraction,
    still_to_come,
)
from serving.estimates import Estimate, oracle
from serving.pool import RequestPool, Workload
from sim.gpu.hardware import gpu_named
from sim.gpu.models import model_named
from sim.gpu.overlap import overlap_named
from sim.gpu.step_cost import step_costs
from tests.serving.pools import random_workload
from tests.serving.test_engines import assert_equal

COSTS = step_costs(gpu_named("a100-80"), model_named("llama-3-8b"), overlap_named("sum"))
NOBODY = np.empty(0, np.int64)


def config(blocks, **changes):
    """Return SGLang's engine with so many blocks."""
    return EngineConfig(COSTS, blocks, rules="sglang", **changes)


def two(outputs, prompt=4):
    """Return two requests without anything in common, blocks of 2 tokens."""
    pool = RequestPool.from_tokens([list(range(prompt)), list(range(50, 50 + prompt))], 2)
    return Workload.of(pool, outputs, "two")


def test_a_step_is_prefill_or_decode():
    """Prompts of 4 in chunks of 3: two steps for one, then the other's; decode only after."""
    workload = two([3, 3])
    result = simulate(
        workload, oracle(workload), OneEnded(np.arange(2)), config(50, max_batched_tokens=3)
    )
    # Chunks 3, then 1 + 2, then 2: three prefill steps; then two decode steps for both.
    assert result.totals.steps == 5
    assert result.totals.scheduled_tokens == 8 + 4


def test_admission_waits_for_outputs_to_come():
    """The second request waits while the first is expected to need the memory."""
    workload = two([8, 8])
    plan = OneEnded(np.arange(2))
    roomy = simulate(workload, oracle(workload), plan, config(30))
    tight = simulate(workload, oracle(workload), plan, config(9))
    assert roomy.first_token_ns[0] == roomy.first_token_ns[1]
    assert tight.first_token_ns[1] > tight.first_token_ns[0]
    assert tight.totals.preemptions == 0


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_the_least_advanced_request_is_retracted(engine):
    """Outputs taken for short ones outgrow the memory: the one with fewer tokens goes back."""
    workload = two([30, 30])
    guess = Estimate(np.array([1.0, 1.0]), NOBODY)
    result = simulate(workload, guess, OneEnded(np.arange(2)), config(18), engine)
    assert result.preempted.tolist() == [0, 1]
    assert result.totals.dropped_tokens > 0


def test_random_pools_do_retract():
    """The comparison of the engines meets retractions, and both engines agree on them."""
    rng, retracted = np.random.default_rng(0), 0
    for _ in range(20):
        workload = random_workload(rng, 20, 2)
        guess = Estimate(np.full(20, 2.0), NOBODY)
        plan, engine = OneEnded(np.arange(20)), config(16, max_batched_tokens=12, max_seqs=8)
        fast = simulate(workload, guess, plan, engine)
        assert_equal(simulate(workload, guess, plan, engine, "reference"), fast)
        assert_equal(simulate(workload, guess, plan, engine, "stepwise"), fast)
        retracted += fast.totals.preemptions
    assert retracted > 20


def test_ratio_falls_to_its_floor_in_600_steps():
    """0.7 to 0.098, and never below; after a retraction it is what was used of the outputs."""
    ratio = START_RATIO
    for _ in range(600):
        ratio = decayed(ratio)
    assert LEAST_RATIO <= ratio < LEAST_RATIO + 600
    assert decayed(LEAST_RATIO) == LEAST_RATIO
    assert ratio_after_retraction(100, 2, 280) == MICRO // 2
    assert ratio_after_retraction(100, 2, 1) == MICRO


def test_long_outputs_are_clipped():
    """At most 4096 tokens are expected, at least one."""
    assert still_to_come(10_000, 10) == 4096
    assert still_to_come(10, 10_000) == 1


def test_other_admission_rules_are_refused():
    """kv_reserve and the like belong to vLLM's rules."""
    with pytest.raises(ValueError, match="admission of their own"):
        replace(config(9), kv_reserve=0.5)


@pytest.mark.parametrize("engine", ["fast", "stepwise", "reference"])
def test_a_retracted_request_of_the_sample_comes_back_before_the_rest(engine):
    """The others wait for the sample, so it must not wait until they are gone."""
    pool = RequestPool.from_tokens([[1, 2], [3, 4], [5, 6]], 2)
    workload = Workload.of(pool, [8, 8, 2], "two sampled, one after them")
    guess = Estimate(np.ones(3), np.array([0, 1]))
    result = simulate(workload, guess, OneEnded(np.arange(3)), config(7, max_seqs=2), engine)
    assert result.totals.preemptions == 1
    assert result.first_token_ns[2] > result.finish_ns[:2].max()
