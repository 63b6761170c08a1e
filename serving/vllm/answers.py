"""An adaptive order answers vLLM: what its process tells, as the view that orders know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from policies.ordering.base import (
    FINISHED,
    FUTURE,
    NEW,
    NOT_NOW,
    PREEMPTED,
    RUNNING,
    Adaptive,
    BatchView,
)
from serving.engine.result import OrderError
from serving.pool import Workload


class Answerer:
    """Keeps the state of all requests between questions.

    Args:
        plan: the order's plan.
        workload: the pool, and the true lengths of what has finished.
        run_first: int64[s], requests to be finished before the plan is asked.
    """

    def __init__(self, plan: Adaptive, workload: Workload, run_first: np.ndarray) -> None:
        self._plan, self._output, self._first = plan, workload.output_tokens, run_first
        n = len(workload.pool)
        self.status = np.full(n, FUTURE, np.int8)
        self.context, self.generated = np.zeros((2, n), np.int64)

    def answer(self, told: dict[str, Any], cached_tokens: Callable[[int], int]) -> int:
        """Return the next request, or that it is not yet time.

        Args:
            told: vLLM's state, as `serving.vllm.remote.asking` sends it.
            cached_tokens: request -> prompt tokens in vLLM's cache.

        Raises:
            OrderError: the plan names a request that is not new.
        """
        self._update(told)
        if (waiting := self._first[self.status[self._first] == NEW]).size:
            return int(waiting[0])
        if (self.status[self._first] < FINISHED).any():
            return NOT_NOW
        answer = int(self._plan.next(self._view(told, cached_tokens)))
        if answer >= 0 and not (answer < self.status.size and self.status[answer] == NEW):
            raise OrderError(f"the order names request {answer}, which is not new")
        return answer

    def _update(self, told: dict[str, Any]) -> None:
        seen = self.status >= NEW
        self.context[:] = 0
        self.status[seen] = FINISHED
        self.status[told["new"]] = NEW
        for request, context, generated in told["running"]:
            self.status[request] = RUNNING
            self.context[request] = context
            self.generated[request] = generated
        for request, generated in told["resuming"]:
            self.status[request] = PREEMPTED
            self.generated[request] = generated
        done = self.status == FINISHED
        self.generated[done] = self._output[done]

    def _view(self, told: dict[str, Any], cached_tokens: Callable[[int], int]) -> BatchView:
        return BatchView(
            time_ns=int(told["time_ns"]),
            step=int(told["step"]),
            status=self.status,
            running=np.array([r for r, _, _ in told["running"]], np.int64),
            context_tokens=self.context,
            generated_tokens=self.generated,
            free_blocks=int(told["free_blocks"]),
            total_blocks=int(told["total_blocks"]),
            budget_tokens=int(told["budget_tokens"]),
            cached_tokens=cached_tokens,
        )
