"""The reference engine with one rule changed at a time: each change must show in some run."""

from __future__ import annotations

from dataclasses import replace

from policies.ordering.base import FINISHED
from serving.engine.reference import ReferenceEngine
from serving.engine.reference_cache import BlockCache
from serving.engine.reference_priority import PriorityReference

TAKE = BlockCache.take
ADMIT, TRY = ReferenceEngine._admit, ReferenceEngine._try_admit
ARRIVE, FILL = ReferenceEngine._let_arrive, ReferenceEngine._fill
FINISH, SCHEDULE = ReferenceEngine._finish, ReferenceEngine._schedule
HITS, ROOM = ReferenceEngine._hit_blocks, ReferenceEngine._make_room
TAKE_BACK = PriorityReference._take_back


def _release_to_tail(self, block):
    self.users[block] -= 1
    if self.users[block] == 0:
        self.free[block] = None


def _release_in_order(self, request):
    for block in request.blocks:
        self.cache.release(block)
    request.blocks.clear()


def _take_last(self):
    self.free.move_to_end(next(reversed(self.free)), last=False)
    return TAKE(self)


def _hit_last_token(self, request):
    hits = HITS(self, request)
    if request.known % self.problem.block_tokens == 0 and len(hits) > 1:
        hits.pop()
    return hits


def _hit_prompt_only(self, request):
    return HITS(self, request)[: (request.prompt - 1) // self.problem.block_tokens]


def _preempt_oldest(self, request, tokens, step):
    needed = self._blocks_for(request.computed + tokens) - len(request.blocks)
    while needed > len(self.cache.free):
        victim = next(r for r in self.running if not r.scheduled)
        self.running.remove(victim)
        self._preempt(victim)
        step.preempted = True
        if victim is request:
            return False
    return True


def _resume_last(self, victim):
    self._drop(victim)
    self.resuming.append(victim)


def _resume_after_new(self, step):
    while step.budget > 0 and len(self.running) < self.config.max_seqs:
        new = self._candidate(step)
        request = new if new is not None else next(iter(self.resuming), None)
        if request is None or not self._try_admit(request, step):
            return


def _resume_first(self, step):
    self._resumed = lambda request: self.resuming.remove(request)
    ADMIT(self, step)


def _admit_after_preemption(self, step):
    self._serve_running(step)
    self._admit(step)


def _admit_before_running(self, step):
    self._admit(step)
    self._serve_running(step)


def _one_admission(self, step):
    fresh = sum(request.fresh for request in self.running)
    kept = self.config
    self.config = replace(kept, max_seqs=min(kept.max_seqs, len(self.running) - fresh + 1))
    ADMIT(self, step)
    self.config = kept


def _one_more_seat(self, step):
    kept = self.config
    self.config = replace(kept, max_seqs=kept.max_seqs + 1)
    ADMIT(self, step)
    self.config = kept


def _whole_prompts(self, request, step):
    return request.known - self._cached_tokens(request.index) <= step.budget and TRY(
        self, request, step
    )


def _other_reserve(self, request, step):
    kept = self.config
    self.config = replace(kept, reserve_prompt=not kept.reserve_prompt)
    admitted = TRY(self, request, step)
    self.config = kept
    return admitted


def _forget_idle_hits(self, request, step):
    hits = self._hit_blocks(request)
    idle = [block for block in hits if self.cache.users[block] == 0]
    for block in idle:  # looks as if somebody used them, so nothing is needed for them
        self.cache.users[block] = 1
    admitted = TRY(self, request, step)
    for block in idle:
        self.cache.users[block] -= 1
        if admitted:
            del self.cache.free[block]
    return admitted


def _arrive_late(self):
    if self.running:
        self.seen_ns -= 1
    ARRIVE(self)


def _leave_holding(self, request):
    self.status[request.index] = FINISHED
    self.context[request.index] = 0
    self.candidate = None
    self.leaving = [*getattr(self, "leaving", []), request]


def _free_after_filling(self, step):
    leaving, self.leaving = getattr(self, "leaving", []), []
    FILL(self, step)
    for request in leaving:
        self._release(request)


def _note_labels(self, request, tokens, step):
    label, noted = self.cache.label, getattr(self, "noted", [])
    self.cache.label = lambda *given: noted.append(given)
    SCHEDULE(self, request, tokens, step)
    self.cache.label, self.noted = label, noted


def _label_at_the_end(self, step):
    for given in getattr(self, "noted", []):
        self.cache.label(*given)
    self.noted = []
    FINISH(self, step)


def _cache_anyway(self, request, tokens, step):
    kept = self.config
    self.config = replace(kept, prefix_caching=True)
    SCHEDULE(self, request, tokens, step)
    self.config = kept


def _never_label(self, block, prefix_id):
    del self, block, prefix_id


def _keep_budget(self, victim, step):
    budget = step.budget
    TAKE_BACK(self, victim, step)
    step.budget = budget


ENGINE, CACHE, PRIORITY = ReferenceEngine, BlockCache, PriorityReference
MUTATIONS = {
    "empty blocks join the tail": [(CACHE, "release", _release_to_tail)],
    "a request's first block is freed first": [(ENGINE, "_release", _release_in_order)],
    "the last free block is taken": [(CACHE, "take", _take_last)],
    "one block less is hit": [(ENGINE, "_hit_blocks", _hit_last_token)],
    "only prompts are hit": [(ENGINE, "_hit_blocks", _hit_prompt_only)],
    "blocks are hit once computed": [
        (ENGINE, "_schedule", _note_labels),
        (ENGINE, "_finish", _label_at_the_end),
    ],
    "nothing is cached": [(CACHE, "label", _never_label)],
    "caching is never off": [(ENGINE, "_schedule", _cache_anyway)],
    "the oldest is preempted": [(ENGINE, "_make_room", _preempt_oldest)],
    "preempted ones queue up": [(ENGINE, "_preempt", _resume_last)],
    "new ones before preempted ones": [(ENGINE, "_admit", _resume_after_new)],
    "a step that preempted admits": [(ENGINE, "_fill", _admit_after_preemption)],
    "admissions before running ones": [(ENGINE, "_fill", _admit_before_running)],
    "one admission a step": [(ENGINE, "_admit", _one_admission)],
    "one more seat": [(ENGINE, "_admit", _one_more_seat)],
    "prompts are not chunked": [(ENGINE, "_try_admit", _whole_prompts)],
    "the prompt is reserved the other way": [(ENGINE, "_try_admit", _other_reserve)],
    "hits on free blocks cost none": [(ENGINE, "_try_admit", _forget_idle_hits)],
    "arrivals are seen late": [(ENGINE, "_let_arrive", _arrive_late)],
    "blocks are freed a step late": [
        (ENGINE, "_leave", _leave_holding),
        (ENGINE, "_fill", _free_after_filling),
    ],
    "priority: the tail is preempted": [(PRIORITY, "_make_room", ROOM)],
    "priority: the budget is not given back": [(PRIORITY, "_take_back", _keep_budget)],
    "priority: preempted ones first": [(PRIORITY, "_admit", _resume_first)],
}
"""What is changed -> (class, method, what it does instead)."""
