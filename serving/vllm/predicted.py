"""What the simulator says that vLLM will do, step by step: the reference engine, noting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from policies.ordering.base import FINISHED, NEW, PREEMPTED, OneEnded, Plan
from serving.engine.config import EngineConfig
from serving.engine.problem import make_problem
from serving.engine.reference import ReferenceEngine
from serving.engine.reference_async import AsyncReference
from serving.engine.reference_priority import PriorityReference
from serving.engine.reference_state import Request, Step
from serving.engine.run import InSequence, as_adaptive
from serving.estimates import Estimate
from serving.pool import Workload
from serving.vllm.rows import STEP_NS, Row
from sim.gpu.attention_grid import no_grid
from sim.gpu.overlap import Sum
from sim.gpu.step_cost import StepCosts


def equal_steps(max_batched_tokens: int) -> StepCosts:
    """Return costs under which every step takes `STEP_NS`."""
    return StepCosts(
        dense_ns=np.zeros(max_batched_tokens + 1),
        sampled_ns=np.zeros(1),
        pair_ns=0.0,
        kv_token_ns=0.0,
        attention=no_grid(),
        network_token_ns=0.0,
        fixed_ns=float(STEP_NS),
        overlap_code=Sum.code,
        overlap_numbers=np.empty(0),
    )


class Traced(ReferenceEngine):
    """The reference engine, with a row for every step in `rows`."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.rows: list[Row] = []
        self._forget_step()

    def _forget_step(self) -> None:
        self._work: dict[int, tuple[int, int, int]] = {}
        self._admitted: list[tuple[int, int, int]] = []
        self._victims: list[int] = []

    def _schedule(self, request: Request, tokens: int, step: Step) -> None:
        self._work[request.index] = (request.index, tokens, request.computed)
        super()._schedule(request, tokens, step)

    def _drop(self, victim: Request) -> None:
        self._work.pop(victim.index, None)
        self._victims.append(victim.index)
        super()._drop(victim)

    def _take_in(self, request: Request, hits: list[int]) -> None:
        resumed = int(self.status[request.index] == PREEMPTED)
        hit = len(hits) * self.problem.block_tokens
        self._admitted.append((request.index, hit, resumed))
        super()._take_in(request, hits)

    def _is_done(self, request: int) -> bool:
        return bool(self.status[request] == FINISHED)

    def _finish(self, step: Step) -> None:
        number = self.sums["makespan_ns"] // STEP_NS
        running = len(self.running)
        waiting = int(((self.status == NEW) | (self.status == PREEMPTED)).sum())
        used = self.cache.total - len(self.cache.free)
        super()._finish(step)
        done = tuple(r for r in self._work if self._is_done(r))
        self.rows.append(
            Row(
                number,
                tuple(self._work.values()),
                tuple(self._admitted),
                tuple(self._victims),
                done,
                running,
                waiting,
                used,
            )
        )
        self._forget_step()


class TracedAsync(Traced, AsyncReference):
    """The same with async scheduling; a request is done in the step of its last token.

    One that has finished and is taken as a victim leaves; vLLM says that it is preempted and
    waits, until it hears of its last token.
    """

    def _forget_step(self) -> None:
        super()._forget_step()
        self._left = 0

    def _preempt(self, victim: Request) -> None:
        if self._is_done(victim.index):
            self._victims.append(victim.index)
            self._left += 1
        super()._preempt(victim)

    def _is_done(self, request: int) -> bool:
        return self.requests[request].generated == self.requests[request].output

    def _finish(self, step: Step) -> None:
        left = self._left
        super()._finish(step)
        row = self.rows.pop()
        if step.tokens > 0:  # else the engine waited for the running step
            self.rows.append(row._replace(waiting=row.waiting + left))


class TracedPriority(Traced, PriorityReference):
    """The same under the priority policy."""


def predicted(
    workload: Workload, estimate: Estimate, plan: Plan, config: EngineConfig
) -> list[Row]:
    """Return the steps of a run; the costs in `config` play no part, every step takes `STEP_NS`.

    Raises:
        ValueError: the configuration is not one of vLLM's.
        OrderError: the plan misbehaves.
    """
    config = replace(config, costs=equal_steps(config.max_batched_tokens))
    problem = make_problem(workload, estimate, config)
    if config.priority and isinstance(plan, OneEnded):
        engine: Traced = TracedPriority(problem, config, InSequence(plan), plan.sequence)
    else:
        capacity = config.kv_blocks * workload.pool.block_tokens
        kind = TracedAsync if config.async_scheduling else Traced
        engine = kind(problem, config, as_adaptive(plan, problem.prompt, capacity))
    engine.run()
    return engine.rows
