"""What a run of the batch engine gives back, and the laws it is checked against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.ordering.base import FINISHED, REJECTED
from serving.engine.problem import Problem


class ConservationError(AssertionError):
    """Requests, KV blocks or tokens were lost or invented: a fault of the engine."""


class OrderError(ValueError):
    """A plan is no permutation, names a request twice, or stalls an idle engine."""


@dataclass(frozen=True)
class Totals:
    """Whole numbers over the run.

    Attributes:
        makespan_ns: end of the last step.
        steps: batch steps.
        compute_ns: compute time summed over steps; `memory_ns` likewise.
        memory_ns: see above.
        scheduled_tokens: tokens computed, prefill and decode.
        first_hit_tokens: prompt tokens found in the cache at first admissions.
        resume_hit_tokens: tokens found in the cache when preempted requests came back.
        dropped_tokens: computed tokens thrown away by preemptions.
        preemptions: number of preemptions.
        running_steps: running requests summed over steps.
    """

    makespan_ns: int
    steps: int
    compute_ns: int
    memory_ns: int
    scheduled_tokens: int
    first_hit_tokens: int
    resume_hit_tokens: int
    dropped_tokens: int
    preemptions: int
    running_steps: int


@dataclass(frozen=True, eq=False)
class EngineResult:
    """Per-request outcomes (int64[n] or int8[n]), totals, and the series over steps.

    Attributes:
        status: FINISHED or REJECTED per request.
        first_token_ns: end of the step that gave the first output token, -1 if rejected.
        finish_ns: end of the step that gave the last one, -1 if rejected.
        hit_tokens: prompt tokens found in the cache at first admission.
        preempted: how often each was preempted.
        totals: sums over the run.
        what_if_ns: int64[k], makespan of the same steps under each model of `StepCosts.what_if`.
        series: int64[buckets, 6]: steps, step ns, compute ns, memory ns, running requests and
            used KV blocks, each summed over the bucket's steps.
    """

    status: NDArray[np.int8]
    first_token_ns: NDArray[np.int64]
    finish_ns: NDArray[np.int64]
    hit_tokens: NDArray[np.int64]
    preempted: NDArray[np.int64]
    totals: Totals
    what_if_ns: NDArray[np.int64]
    series: NDArray[np.int64]

    def check_conservation(self, problem: Problem) -> None:
        """Check that no request, no token and no step was lost.

        Raises:
            ConservationError: one was.
        """
        self.check_tokens(problem)
        if int(self.series[:, 0].sum()) != self.totals.steps:
            raise ConservationError("the series lost steps")

    def check_tokens(self, problem: Problem) -> None:
        """Check that no request and no token was lost.

        Raises:
            ConservationError: one was.
        """
        done = self.status == FINISHED
        if not (done | (self.status == REJECTED)).all():
            raise ConservationError("requests in != done + rejected")
        t = self.totals
        final = int((problem.prompt + problem.output - 1)[done].sum())
        expected = final + t.dropped_tokens - t.first_hit_tokens - t.resume_hit_tokens
        if t.scheduled_tokens != expected:
            raise ConservationError(f"{t.scheduled_tokens} tokens computed, not {expected}")
