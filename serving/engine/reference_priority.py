"""The reference engine with vLLM's priority policy.

A request's priority is its place in the plan's sequence, the first the most urgent. What was
preempted waits among the new ones, each at its place. The victim is the running request with the
last place, wherever it stands among them; if it has got tokens in this step already, the step
gives them back to its budget. One that went itself ends the step for those behind it, so a step
can be empty; it counts, as in vLLM. Where all requests are there from the start this is the same
as first come, first served in that sequence.
"""

from __future__ import annotations

import numpy as np

from policies.ordering.base import Adaptive
from serving.engine.config import EngineConfig
from serving.engine.problem import Problem
from serving.engine.reference import ReferenceEngine
from serving.engine.reference_state import Request, Step


class PriorityReference(ReferenceEngine):
    """vLLM's rules with `scheduling_policy="priority"`.

    Args:
        problem: the requests.
        config: limits.
        policy: names the new request with the first place.
        sequence: int64[n], requests by priority, a permutation.
    """

    def __init__(
        self,
        problem: Problem,
        config: EngineConfig,
        policy: Adaptive,
        sequence: np.ndarray,
    ) -> None:
        super().__init__(problem, config, policy)
        self.place = np.argsort(sequence)

    def _urgency(self, request: Request) -> int:
        return int(self.place[request.index])

    def _serve_running(self, step: Step) -> None:
        i = 0
        while i < len(self.running) and step.budget > 0:
            request = self.running[i]
            tokens = min(request.known - request.computed, step.budget)
            if not self._make_room(request, tokens, step):
                break
            self._schedule(request, tokens, step)
            i = self.running.index(request) + 1

    def _make_room(self, request: Request, tokens: int, step: Step) -> bool:
        """Preempt the least urgent until the next blocks are free; False if it went itself."""
        needed = self._blocks_for(request.computed + tokens) - len(request.blocks)
        while needed > len(self.cache.free):
            victim = max(self.running, key=self._urgency)
            self.running.remove(victim)
            self._take_back(victim, step)
            self._preempt(victim)
            step.preempted = True
            if victim is request:
                return False
        return True

    def _take_back(self, victim: Request, step: Step) -> None:
        """Undo the victim's part of the step; its full blocks stay hit-able, as in vLLM."""
        tokens = victim.computed - victim.computed_before
        if not victim.scheduled:
            return
        if victim.computed_before < victim.prefill_until:
            step.prefill_tokens -= tokens
            step.prefills -= 1
            step.pairs -= tokens * victim.computed_before + tokens * (tokens + 1) // 2
        else:
            step.decodes -= 1
            step.kv_tokens -= victim.computed
        step.tokens -= tokens
        step.budget += tokens
        victim.computed = victim.computed_before
        victim.scheduled = False

    def _admit(self, step: Step) -> None:
        while step.budget > 0 and len(self.running) < self.config.max_seqs:
            new = self._candidate(step)
            waiting = [*self.resuming, *([] if new is None else [new])]
            if not waiting or not self._try_admit(min(waiting, key=self._urgency), step):
                return

    def _resumed(self, request: Request) -> None:
        self.resuming.remove(request)
