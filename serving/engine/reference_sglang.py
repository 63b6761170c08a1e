"""The reference engine under SGLang's rules (`serving.engine.sglang_rules`)."""

from __future__ import annotations

from policies.ordering.base import NEW, NOT_NOW
from serving.engine.reference import ReferenceEngine
from serving.engine.reference_state import Request, Step
from serving.engine.sglang_rules import (
    MICRO,
    RETRACT_STEPS,
    START_RATIO,
    decayed,
    ratio_after_retraction,
    still_to_come,
)


class SglangReference(ReferenceEngine):
    """Prefill first, decode otherwise; admission by expected memory; retraction."""

    ratio = START_RATIO

    def _fill(self, step: Step) -> None:
        self._go_on_with_chunk(step)
        self._prefill_new(step)
        if step.tokens == 0:
            self._decode(step)

    def _go_on_with_chunk(self, step: Step) -> None:
        for request in self.running:
            if request.computed < request.prefill_until:
                self._schedule(request, min(request.known - request.computed, step.budget), step)

    def _prefill_new(self, step: Step) -> None:
        promised = 0
        while step.budget > 0 and len(self.running) < self.config.max_seqs:
            request = self._next_waiting(step)
            if request is None:
                return
            hits = self._hit_blocks(request)
            wanted = still_to_come(request.target, request.known)
            if not self._expected_to_fit(request, hits, wanted, promised):
                return
            self._take_in(request, hits)
            request.computed = len(hits) * self.problem.block_tokens
            self._schedule(request, min(request.known - request.computed, step.budget), step)
            promised += wanted

    def _any_new(self) -> bool:
        return bool((self.status == NEW).any())

    def _next_waiting(self, step: Step) -> Request | None:
        """The plan's next request; what was retracted comes when nothing new is left or runs."""
        candidate = self._candidate(step)
        none_new = not self._any_new() or not self.running
        if candidate is None and self.candidate == NOT_NOW and none_new:
            return self.resuming[0] if self.resuming else None
        return candidate

    def _expected_to_fit(
        self, request: Request, hits: list[int], wanted: int, promised: int
    ) -> bool:
        idle = sum(self.cache.users[block] == 0 for block in hits)
        free = len(self.cache.free) - idle
        if self._blocks_for(request.known) - len(hits) > free:
            return False
        if not self.running:
            return True
        size = self.problem.block_tokens
        kept = sum(still_to_come(r.target, r.known) for r in self.running if not r.fresh)
        room = free * size - self.ratio * kept // MICRO - promised
        return request.known - len(hits) * size + wanted < room

    def _decode(self, step: Step) -> None:
        if self._blocks_needed() > len(self.cache.free):
            self._retract()
        else:
            self.ratio = decayed(self.ratio)
        for request in self.running:
            self._schedule(request, 1, step)

    def _blocks_needed(self) -> int:
        return sum(self._blocks_for(r.computed + 1) > len(r.blocks) for r in self.running)

    def _retract(self) -> None:
        size = self.problem.block_tokens
        while len(self.running) > 1 and (
            len(self.cache.free) * size < RETRACT_STEPS * len(self.running)
            or self._blocks_needed() > len(self.cache.free)
        ):
            places = range(len(self.running))
            victim = min(places, key=self._retraction_key)
            self._drop(self.running[victim])
            self.resuming.append(self.running.pop(victim))
        generated = sum(r.generated for r in self.running)
        expected = sum(max(r.target - r.prompt, r.generated) for r in self.running)
        self.ratio = ratio_after_retraction(generated, len(self.running), expected)

    def _retraction_key(self, place: int) -> tuple[int, int, int]:
        request = self.running[place]
        return request.generated, -request.prompt, -place
