"""vLLM's async scheduling without a GPU: its `AsyncScheduler`, driven as vLLM's core drives it.

On a CPU vLLM turns async scheduling off, so there is no engine to run. The scheduler needs none:
it is asked for the next batch while the one before it is under way, and told what that one has
sampled afterwards (`EngineCore.step_with_batch_queue`, with room for two batches). The tokens are
random; how long an output becomes does not hang on them. There are no times.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any

ROOM = 2
"""Batches under way at most (`VllmConfig.max_concurrent_batches`)."""


def _sampled(scheduler: Any, batch: Any, rng: random.Random, words: int) -> Any:
    """Return what a model would give back: a token for each request that is through its prompt."""
    from vllm.v1.outputs import ModelRunnerOutput

    names = list(batch.num_scheduled_tokens)
    tokens = [
        [] if scheduler.requests[name].is_prefill_chunk else [rng.randrange(words)]
        for name in names
    ]
    places = {name: place for place, name in enumerate(names)}
    return ModelRunnerOutput(names, places, sampled_token_ids=tokens)


def run_ahead(scheduler: Any, words: int) -> list[dict[str, Any]]:
    """Run what the scheduler holds to its end; return the rows of batches that hold tokens.

    Args:
        scheduler: a recording `AsyncScheduler`.
        words: token ids that may be sampled.

    Raises:
        RuntimeError: nothing runs and nothing is admitted.
    """
    rng, rows = random.Random(0), []
    under_way: deque[tuple[Any, Any, dict[str, Any]]] = deque()
    idle = 0
    while scheduler.has_unfinished_requests():
        batch = scheduler.schedule()
        row = scheduler.row
        idle = 0 if row["scheduled"] else idle + 1
        if idle > ROOM:
            raise RuntimeError("nothing runs and nothing is admitted")
        under_way.append((batch, _sampled(scheduler, batch, rng, words), row))
        if len(under_way) < ROOM:
            continue
        oldest, output, scheduler.row = under_way.popleft()
        scheduler.update_from_output(oldest, output)
        if scheduler.row["scheduled"]:
            times = {"step": len(rows), "wall_ns": 0, "cpu_ns": 0}
            rows.append(scheduler.row | times)
    scheduler.schedule()  # forgets who has finished, so that the next run finds nothing
    return rows
