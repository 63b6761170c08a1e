"""The reference engine with vLLM's async scheduling.

While a step runs, the next one is scheduled, from what was known when the running one began. So
a request that gets its last token in a step still holds its seat and blocks while the next one is
scheduled, though it gets no tokens: the scheduler knows how long each may become (vLLM skips it
for having reached `max_tokens`). If it is taken as a victim, it leaves. What arrives during a
step is seen when the next but one is scheduled. Where nothing is left to schedule, the engine
waits for the running step, and sees all.

A block that decoding fills ends in a token that the scheduler does not know yet. So it can be hit
only after the next step is scheduled, and never if its request is preempted there.
"""

from __future__ import annotations

from typing import Any

from policies.ordering.base import RUNNING
from serving.engine.reference import ReferenceEngine
from serving.engine.reference_state import Request, Step


class AsyncReference(ReferenceEngine):
    """vLLM's rules, seen one step late."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.filled: list[tuple[Request, range]] = []  # by decoding, in the step being scheduled
        self.unknown: list[tuple[Request, range]] = []  # in the step that runs meanwhile

    def _label(self, request: Request, full: range) -> None:
        if request.computed_before < request.prefill_until:
            super()._label(request, full)
        else:
            self.filled.append((request, full))

    def _learn(self) -> None:
        """Label what the running step has filled, but for requests that are no longer there."""
        for request, full in self.unknown:
            if any(r is request for r in self.running):
                super()._label(request, full)
        self.unknown, self.filled = self.filled, []

    def _serve_running(self, step: Step) -> None:
        """Serve those that have not finished; the others keep their places among them."""
        i = 0
        while i < len(self.running) and step.budget > 0:
            request = self.running[i]
            if not _finished(request):
                tokens = min(request.known - request.computed, step.budget)
                if not self._make_room(request, tokens, step):
                    break
                self._schedule(request, tokens, step)
            i += 1

    def _preempt(self, victim: Request) -> None:
        if _finished(victim):
            super()._leave(victim)
        else:
            super()._preempt(victim)

    def _finish(self, step: Step) -> None:
        self._learn()
        begun = self.sums["makespan_ns"]
        leaving = [request for request in self.running if _finished(request)]
        if step.tokens > 0:
            super()._finish(step)
        self.seen_ns = begun
        for request in leaving:
            super()._leave(request)
        self.running = [r for r in self.running if self.status[r.index] == RUNNING]

    def _leave(self, request: Request) -> None:
        """Nobody sees yet that it has finished."""


def _finished(request: Request) -> bool:
    return request.generated == request.output
