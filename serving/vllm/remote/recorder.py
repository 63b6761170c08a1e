"""vLLM's scheduler, noting what it does; it changes nothing."""

from __future__ import annotations

import functools
from typing import Any


def index_of(request_id: str) -> int:
    """Return the place of a request in its pool; ids are `run:place`."""
    return int(request_id.partition(":")[2])


@functools.cache
def recording_scheduler(ahead: bool = False) -> type:
    """Return the class; vLLM is imported when it is first needed.

    Args:
        ahead: of vLLM's async scheduler.
    """
    if ahead:
        from vllm.v1.core.sched.async_scheduler import AsyncScheduler as Scheduler
    else:
        from vllm.v1.core.sched.scheduler import Scheduler

    class Recording(Scheduler):
        """Leaves in `row` what the last step scheduled, admitted, preempted and finished.

        `scheduled`: (request, tokens, tokens computed before) in vLLM's order. `admitted`:
        (request, tokens hit, whether it was there before). Numbers of running and waiting requests
        and of KV blocks in use are those after scheduling, before the step's output is known.
        `given` holds the tokens that requests have got in this step so far, `changes` counts
        preemptions and completions.
        """

        row: dict[str, Any]

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.given: dict[str, int] = {}
            self.preempted_now: list[int] = []
            self.changes = 0
            self._allocate = self.kv_cache_manager.allocate_slots
            self.kv_cache_manager.allocate_slots = self._noting_slots

        def _noting_slots(self, request: Any, num_new_tokens: int, *args: Any, **named: Any) -> Any:
            blocks = self._allocate(request, num_new_tokens, *args, **named)
            if blocks is not None:
                self.given[request.request_id] = num_new_tokens
            return blocks

        def schedule(self, *args: Any, **options: Any) -> Any:
            """Schedule, and note."""
            before = {request.request_id for request in self.running}
            self.preempted_now = []
            self.given.clear()
            out = super().schedule(*args, **options)
            pool, work = self.kv_cache_manager.block_pool, []
            admitted = []
            for name, tokens in out.num_scheduled_tokens.items():
                request = self.requests[name]
                computed = request.num_computed_tokens - tokens
                work.append((index_of(name), tokens, computed))
                if name not in before:
                    admitted.append((index_of(name), computed, int(request.num_preemptions > 0)))
            self.row = {
                "scheduled": work,
                "admitted": admitted,
                "preempted": self.preempted_now,
                "running": len(self.running),
                "waiting": len(self.waiting),
                "kv_blocks": pool.num_gpu_blocks - 1 - pool.get_num_free_blocks(),
            }
            return out

        def _preempt_request(self, request: Any, *args: Any, **options: Any) -> None:
            self.preempted_now.append(index_of(request.request_id))
            self.given.pop(request.request_id, None)
            self.changes += 1
            super()._preempt_request(request, *args, **options)

        def update_from_output(self, scheduler_output: Any, *args: Any, **options: Any) -> Any:
            """Take in the step's tokens, and note who has finished."""
            names = list(scheduler_output.num_scheduled_tokens)
            result = super().update_from_output(scheduler_output, *args, **options)
            finished = [index_of(name) for name in names if name not in self.requests]
            self.row["finished"] = finished
            self.changes += len(finished)
            return result

    return Recording
