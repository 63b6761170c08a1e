"""The batch engine in plain Python, step by step, written to be read.

Rules of vLLM V1's scheduler. Each step serves the running requests first, in order of admission:
one decode token or the next chunk of the prompt, within the token budget. A request that finds no
free KV block preempts from the tail of the running ones: the victim's blocks are freed, it goes
to the front of the waiting ones and computes everything again when it resumes (generated tokens
count as prompt then). A step that preempted admits nothing. Otherwise candidates are admitted
while budget, seats and KV blocks last; admission never preempts and stops at the first candidate
that does not fit. Hits are whole blocks and leave at least one token to compute; a block can be
hit as soon as its tokens are scheduled. Requests arrive between steps; when nothing runs and
nothing can be admitted, time jumps to the next arrival.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from policies.ordering.base import (
    FINISHED,
    FUTURE,
    NEW,
    NOT_NOW,
    PREEMPTED,
    REJECTED,
    RUNNING,
    Adaptive,
    BatchView,
)
from serving.engine.config import EngineConfig
from serving.engine.peak import predicted_peak
from serving.engine.problem import Problem
from serving.engine.reference_cache import BlockCache
from serving.engine.reference_state import Request, Step
from serving.engine.result import EngineResult, OrderError, Totals
from serving.engine.series import add_idle, add_step, finished_series, new_series
from sim.gpu.step_cost import Batch, add_what_if, step_cost

NEVER = 1 << 62


class ReferenceEngine:
    """One run; `policy` is asked for candidates."""

    def __init__(self, problem: Problem, config: EngineConfig, policy: Adaptive) -> None:
        self.problem, self.config, self.policy = problem, config, policy
        self.cache = BlockCache(config.kv_blocks)
        self.capacity_tokens = config.kv_blocks * problem.block_tokens
        columns = zip(problem.prompt, problem.output, problem.target, strict=True)
        self.requests = [
            Request(i, int(prompt), int(output), int(target))
            for i, (prompt, output, target) in enumerate(columns)
        ]
        n = len(self.requests)
        self.status = np.where(problem.fits, FUTURE, REJECTED).astype(np.int8)
        self.context, self.generated = np.zeros((2, n), np.int64)
        self.arrived = 0
        self.ask_again_at = NEVER
        self.seen_ns = 0  # arrivals up to then are known
        self.running: list[Request] = []
        self.resuming: deque[Request] = deque()
        self.candidate: int | None = None  # None: ask again; -1: the policy said "not now"
        self.first_ns, self.finish_ns = np.full((2, n), -1, np.int64)
        self.hits, self.preempted = np.zeros((2, n), np.int64)
        self.sums = dict.fromkeys(Totals.__dataclass_fields__, 0)
        self.what_if_ns = np.zeros(config.costs.what_if.codes.size, np.int64)
        self.series = new_series()

    def run(self) -> EngineResult:
        """Run until every request is done or rejected."""
        while (self.status != REJECTED).any() and not self._all_settled():
            self._step()
            self.cache.check([request.blocks for request in self.running])
        result = EngineResult(
            self.status,
            self.first_ns,
            self.finish_ns,
            self.hits,
            self.preempted,
            Totals(**self.sums),
            self.what_if_ns,
            finished_series(self.series),
        )
        result.check_conservation(self.problem)
        return result

    def _all_settled(self) -> bool:
        return bool((self.status >= FINISHED).all())

    def _step(self) -> None:
        self._let_arrive()
        if self.candidate == NOT_NOW and self.sums["steps"] >= self.ask_again_at:
            self.candidate = None
        step = Step(self.config.max_batched_tokens)
        self._fill(step)
        if self.running:
            self._finish(step)
        elif self.arrived < len(self.requests):
            self._idle()
        else:
            raise OrderError("the order admits nothing although nothing runs")

    def _fill(self, step: Step) -> None:
        """Give the step its work: vLLM's rules."""
        self._serve_running(step)
        if not step.preempted:
            self._admit(step)

    # -- arrivals -----------------------------------------------------------------------------

    def _next_arrival_ns(self) -> int:
        return int(self.problem.arrival_ns[self.problem.by_arrival[self.arrived]])

    def _let_arrive(self) -> None:
        n = len(self.requests)
        while self.arrived < n and self._next_arrival_ns() <= self.seen_ns:
            request = self.problem.by_arrival[self.arrived]
            self.arrived += 1
            if self.status[request] == FUTURE:
                self.status[request] = NEW
                self.candidate = None

    def _idle(self) -> None:
        """Nothing runs: jump to the next arrival, which lies ahead."""
        idle = self._next_arrival_ns() - self.sums["makespan_ns"]
        add_idle(self.series, idle)
        self.sums["makespan_ns"] += idle
        self.seen_ns = self.sums["makespan_ns"]

    # -- running requests ---------------------------------------------------------------------

    def _serve_running(self, step: Step) -> None:
        i = 0
        while i < len(self.running) and step.budget > 0:
            request = self.running[i]
            tokens = min(request.known - request.computed, step.budget)
            if not self._make_room(request, tokens, step):
                break
            self._schedule(request, tokens, step)
            i += 1

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self.problem.block_tokens)

    def _make_room(self, request: Request, tokens: int, step: Step) -> bool:
        """Preempt until the request's next blocks are free; False if it went itself."""
        needed = self._blocks_for(request.computed + tokens) - len(request.blocks)
        while needed > len(self.cache.free):
            victim = self.running.pop()
            self._preempt(victim)
            step.preempted = True
            if victim is request:
                return False
        return True

    def _preempt(self, victim: Request) -> None:
        self._drop(victim)
        self.resuming.appendleft(victim)

    def _drop(self, victim: Request) -> None:
        """Free all that a victim holds; it will compute everything again."""
        self._release(victim)
        self.sums["dropped_tokens"] += victim.computed
        self.sums["preemptions"] += 1
        self.preempted[victim.index] += 1
        victim.computed = 0
        self.context[victim.index] = 0
        self.status[victim.index] = PREEMPTED
        self.candidate = None

    def _release(self, request: Request) -> None:
        for block in reversed(request.blocks):
            self.cache.release(block)
        request.blocks.clear()

    def _schedule(self, request: Request, tokens: int, step: Step) -> None:
        """Give the request its blocks and its part of the step."""
        if request.computed < request.prefill_until:
            step.prefill_tokens += tokens
            step.prefills += 1
            step.pairs += tokens * request.computed + tokens * (tokens + 1) // 2
        else:
            step.decodes += 1
            step.kv_tokens += request.computed + 1
        step.tokens += tokens
        step.budget -= tokens
        first_new_full = request.computed // self.problem.block_tokens
        request.computed_before = request.computed
        request.computed += tokens
        self.context[request.index] = request.computed
        while len(request.blocks) < self._blocks_for(request.computed):
            request.blocks.append(self.cache.take())
        if self.config.prefix_caching:
            full = range(first_new_full, request.computed // self.problem.block_tokens)
            self._label(request, full)
        request.scheduled = True

    def _label(self, request: Request, full: range) -> None:
        """Let others hit blocks that have become full."""
        for j in full:
            self.cache.label(request.blocks[j], self._prefix_id(request, j))

    def _prefix_id(self, request: Request, j: int) -> int:
        start, end = self.problem.block_offsets[request.index : request.index + 2]
        if start + j < end:
            return int(self.problem.block_ids[start + j])
        return int(self.problem.own_base[request.index] + j - (end - start))

    # -- admission ----------------------------------------------------------------------------

    def _admit(self, step: Step) -> None:
        while step.budget > 0 and len(self.running) < self.config.max_seqs:
            request = self.resuming[0] if self.resuming else self._candidate(step)
            if request is None or not self._try_admit(request, step):
                return

    def _candidate(self, step: Step) -> Request | None:
        if self.candidate is None:
            self.candidate = self._settled(self._ask(step))
        return None if self.candidate == NOT_NOW else self.requests[self.candidate]

    def _settled(self, answer: int) -> int:
        """Note when to ask again, if the answer was `later`."""
        waits = answer < NOT_NOW
        self.ask_again_at = self.sums["steps"] + NOT_NOW - answer if waits else NEVER
        return NOT_NOW if waits else answer

    def _ask(self, step: Step) -> int:
        """The sample first, then a barrier until it is done, then the policy."""
        first = self.problem.run_first
        waiting = first[self.status[first] == NEW]
        if waiting.size:
            return int(waiting[0])
        if (self.status[first] < FINISHED).any() or not (self.status == NEW).any():
            return NOT_NOW
        answer = int(self.policy.next(self._view(step)))
        if answer >= 0 and not (answer < len(self.requests) and self.status[answer] == NEW):
            raise OrderError(f"the order names request {answer}, which is not new")
        return answer

    def _view(self, step: Step) -> BatchView:
        return BatchView(
            time_ns=self.sums["makespan_ns"],
            step=self.sums["steps"],
            status=self.status,
            running=np.array([r.index for r in self.running], np.int64),
            context_tokens=self.context,
            generated_tokens=self.generated,
            free_blocks=len(self.cache.free),
            total_blocks=self.cache.total,
            budget_tokens=step.budget,
            cached_tokens=self._cached_tokens,
        )

    def _hit_blocks(self, request: Request) -> list[int]:
        hits: list[int] = []
        for j in range((request.known - 1) // self.problem.block_tokens):
            block = self.cache.find(self._prefix_id(request, j))
            if block is None:
                break
            hits.append(block)
        return hits

    def _cached_tokens(self, index: int) -> int:
        return len(self._hit_blocks(self.requests[index])) * self.problem.block_tokens

    def _try_admit(self, request: Request, step: Step) -> bool:
        hits = self._hit_blocks(request)
        cached = len(hits) * self.problem.block_tokens
        tokens = min(request.known - cached, step.budget)
        needed = self._blocks_for(cached + tokens) - len(hits)
        if self.config.reserve_prompt:
            needed = self._blocks_for(request.known) - len(hits)
        needed += sum(self.cache.users[block] == 0 for block in hits)
        if needed > len(self.cache.free) or not self._reserve_allows(request):
            return False
        self._take_in(request, hits)
        request.computed = cached
        self._schedule(request, tokens, step)
        return True

    def _reserve_allows(self, request: Request) -> bool:
        if not self.running:
            return True
        if self.config.predict_peak:
            batch = [*self.running, request]
            held = np.array([r.known for r in batch])
            return predicted_peak(held, [r.target for r in batch] - held) <= self.capacity_tokens
        if self.config.kv_reserve == 0:
            return True
        reserved = sum(r.reserve for r in self.running) + request.reserve
        return reserved <= self.capacity_tokens

    def _take_in(self, request: Request, hits: list[int]) -> None:
        for block in hits:
            self.cache.share(block)
        request.blocks = list(hits)
        request.prefill_until = request.known
        cached = len(hits) * self.problem.block_tokens
        if self.status[request.index] == PREEMPTED:
            self._resumed(request)
            self.sums["resume_hit_tokens"] += cached
        else:
            self.hits[request.index] = cached
            self.sums["first_hit_tokens"] += cached
        self.status[request.index] = RUNNING
        request.fresh = True
        self.running.append(request)
        self.candidate = None

    def _resumed(self, request: Request) -> None:
        """Take a request off those that wait to resume; it is the first."""
        self.resuming.popleft()

    # -- end of a step ------------------------------------------------------------------------

    def _finish(self, step: Step) -> None:
        sampled = [r for r in self.running if r.scheduled and r.computed == r.known]
        work = (step.tokens, step.prefill_tokens, step.prefills, step.pairs)
        batch = Batch(*work, step.decodes, step.kv_tokens, len(sampled))
        compute, memory, ns = step_cost(self.config.costs, batch)
        add_what_if(self.config.costs, batch, self.what_if_ns)
        used = self.cache.total - len(self.cache.free)
        add_step(self.series, ns, compute, memory, len(self.running), used)
        amounts = {
            "makespan_ns": ns,
            "steps": 1,
            "compute_ns": compute,
            "memory_ns": memory,
            "scheduled_tokens": step.tokens,
            "running_steps": len(self.running),
        }
        for name, amount in amounts.items():
            self.sums[name] += amount
        self.seen_ns = self.sums["makespan_ns"]
        for request in self.running:
            request.scheduled = request.fresh = False
        for request in sampled:
            self._emit(request)
        self.running = [r for r in self.running if self.status[r.index] == RUNNING]

    def _emit(self, request: Request) -> None:
        """Add an output token; finish at the last."""
        request.generated += 1
        self.generated[request.index] += 1
        now = self.sums["makespan_ns"]
        if request.generated == 1:
            self.first_ns[request.index] = now
        if request.generated == request.output:
            self.finish_ns[request.index] = now
            self._leave(request)

    def _leave(self, request: Request) -> None:
        self.status[request.index] = FINISHED
        self.context[request.index] = 0
        self._release(request)
        self.candidate = None
