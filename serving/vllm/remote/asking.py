"""An adaptive order as vLLM's queue of waiting requests: the other process is asked for each.

What was preempted stays in front, as vLLM puts it there. An answer stays the candidate until the
next arrival, admission, completion or preemption, as `policies.ordering.base.Adaptive` says; "not
now" makes the queue look empty.
"""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from serving.vllm.remote.recorder import index_of

NOT_NOW = -1
ASK = -2


@functools.cache
def asking_queue() -> type:
    """Return the class; vLLM is imported when it is first needed."""
    from vllm.v1.core.sched.request_queue import RequestQueue

    class Asking(RequestQueue):
        """New requests by index, resuming ones in vLLM's order; `lines` leads to the order."""

        def __init__(self, scheduler: Any, lines: Any) -> None:
            self._scheduler, self._lines = scheduler, lines
            self._began = time.perf_counter_ns()
            self._new: dict[int, Any] = {}
            self._resuming: deque[Any] = deque()
            self._candidate = ASK
            self._ask_again_at = 0
            self._seen = scheduler.changes

        def _settle(self) -> int:
            """Return the candidate, asking for one if there is none."""
            scheduler = self._scheduler
            waited = 0 < self._ask_again_at <= scheduler.current_step - 1
            if scheduler.changes != self._seen or (self._candidate == NOT_NOW and waited):
                self._candidate, self._seen = ASK, scheduler.changes
            if self._candidate == ASK:
                answer = self._ask()
                step = scheduler.current_step - 1
                self._ask_again_at = step + NOT_NOW - answer if answer < NOT_NOW else 0
                self._candidate = max(answer, NOT_NOW)
            return self._candidate

        def _ask(self) -> int:
            if not self._new:
                return NOT_NOW
            self._lines.say({"ask": self._view()})
            while True:
                message = self._lines.hear()
                if message is None:
                    raise RuntimeError("the order is gone in the middle of a run")
                if "next" in message:
                    return int(message["next"])
                self._lines.say({"tokens": self._cached_tokens(message["cached"])})

        def _view(self) -> dict[str, Any]:
            scheduler = self._scheduler
            pool = scheduler.kv_cache_manager.block_pool
            given = scheduler.given
            running = [
                (
                    index_of(r.request_id),
                    r.num_computed_tokens + given.get(r.request_id, 0),
                    r.num_output_tokens,
                )
                for r in scheduler.running
            ]
            return {
                "time_ns": time.perf_counter_ns() - self._began,
                "step": scheduler.current_step - 1,
                "new": list(self._new),
                "resuming": [(index_of(r.request_id), r.num_output_tokens) for r in self._resuming],
                "running": running,
                "free_blocks": pool.get_num_free_blocks(),
                "total_blocks": pool.num_gpu_blocks - 1,
                "budget_tokens": scheduler.max_num_scheduled_tokens - sum(given.values()),
            }

        def _cached_tokens(self, index: int) -> int:
            return self._scheduler.kv_cache_manager.get_computed_blocks(self._new[index])[1]

        def add_request(self, request: Any) -> None:
            """Add a request that has arrived."""
            self._new[index_of(request.request_id)] = request
            self._candidate = ASK

        def peek_request(self) -> Any:
            """Return the next request; only after `bool` was true."""
            return self._resuming[0] if self._resuming else self._new[self._settle()]

        def pop_request(self) -> Any:
            """Return and remove the next request."""
            waits = bool(self._resuming)
            request = self._resuming.popleft() if waits else self._new.pop(self._settle())
            self._candidate = ASK
            return request

        def prepend_request(self, request: Any) -> None:
            """Put a preempted request in front."""
            self._resuming.appendleft(request)

        def prepend_requests(self, requests: Iterable[Any]) -> None:
            """Put requests in front, the last first."""
            self._resuming.extendleft(requests)

        def remove_request(self, request: Any) -> None:
            """Remove one request, new or resuming."""
            self.remove_requests([request])

        def remove_requests(self, requests: Iterable[Any]) -> None:
            """Remove requests, new or resuming."""
            gone = {request.request_id for request in requests}
            self._new = {i: r for i, r in self._new.items() if r.request_id not in gone}
            self._resuming = deque(r for r in self._resuming if r.request_id not in gone)

        def __bool__(self) -> bool:
            seats = self._scheduler.max_num_active_reqs
            if self._resuming or len(self._scheduler.running) >= seats:
                return len(self) > 0
            return self._settle() >= 0

        def __len__(self) -> int:
            return len(self._resuming) + len(self._new)

        def __iter__(self) -> Iterator[Any]:
            return iter([*self._resuming, *self._new.values()])

    return Asking
