"""One entry to both engines: a workload, a plan, a configuration -> what happened."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from policies.ordering.base import (
    NEW,
    NOT_NOW,
    Adaptive,
    BatchView,
    OneEnded,
    Plan,
    TwoEnded,
)
from policies.ordering.dual_scan import DualScan
from serving.engine.config import EngineConfig
from serving.engine.fast import run_fast
from serving.engine.problem import is_permutation, make_problem
from serving.engine.reference import ReferenceEngine
from serving.engine.reference_async import AsyncReference
from serving.engine.reference_priority import PriorityReference
from serving.engine.reference_sglang import SglangReference
from serving.engine.result import EngineResult, OrderError
from serving.estimates import Estimate
from serving.pool import Workload

Engine = Literal["fast", "stepwise", "reference"]


class InSequence:
    """A one-ended plan as an adaptive one."""

    def __init__(self, plan: OneEnded) -> None:
        self._sequence, self._next = plan.sequence, 0

    def next(self, batch: BatchView) -> int:
        """Return the first request of the sequence that is new."""
        sequence, n = self._sequence, len(self._sequence)
        while self._next < n and batch.status[sequence[self._next]] > NEW:
            self._next += 1
        ahead = (int(r) for r in sequence[self._next :] if batch.status[r] == NEW)
        return next(ahead, NOT_NOW)


def as_adaptive(plan: Plan, prompt_tokens: NDArray[np.int64], capacity_tokens: int) -> Adaptive:
    """Return the plan in the form that the reference engine asks."""
    if isinstance(plan, TwoEnded):
        return DualScan(plan, prompt_tokens, capacity_tokens)
    return InSequence(plan) if isinstance(plan, OneEnded) else plan


def simulate(
    workload: Workload,
    estimate: Estimate,
    plan: Plan,
    config: EngineConfig,
    engine: Engine = "fast",
) -> EngineResult:
    """Run the whole pool and return what happened.

    Args:
        workload: requests and their true lengths.
        estimate: what was known of the lengths; its `run_first` requests run before the plan.
        plan: the order's answer.
        config: limits and rates.
        engine: "fast" skips ahead, "stepwise" is the same kernel without skipping, "reference"
            is plain Python; all three give equal results.

    Raises:
        OrderError: the plan is no permutation or misbehaves, or has no places to be priorities.
        ConservationError: the engine lost something.
    """
    if isinstance(plan, OneEnded | TwoEnded) and not is_permutation(
        plan.sequence, len(workload.pool)
    ):
        raise OrderError("the plan's sequence is not a permutation of the requests")
    if config.priority and not isinstance(plan, OneEnded):
        raise OrderError("priority: only a one-ended plan gives every request a place")
    problem = make_problem(workload, estimate, config)
    if engine == "reference":
        if config.priority and isinstance(plan, OneEnded):
            return PriorityReference(problem, config, InSequence(plan), plan.sequence).run()
        capacity = config.kv_blocks * workload.pool.block_tokens
        readable = AsyncReference if config.async_scheduling else ReferenceEngine
        readable = SglangReference if config.rules == "sglang" else readable
        return readable(problem, config, as_adaptive(plan, problem.prompt, capacity)).run()
    return run_fast(problem, config, plan, skip=engine == "fast")
