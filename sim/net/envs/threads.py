"""A compiled function over many rows on all cores, without a thread that waits busily.

The functions give up Python's lock, so plain threads do. OpenMP's spin at the end of every
parallel region, which costs more than it gives where other jobs want the cores as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

THREADED_FROM = 64
"""Rows from which on threads pay."""
PARTS = 4
"""Pieces of work per thread: rows differ in cost, and who is done takes the next piece."""

_pool: ThreadPoolExecutor | None = None


def _forget() -> None:
    global _pool
    _pool = None


os.register_at_fork(after_in_child=_forget)


def workers() -> int:
    """Return how many threads there are: the cores that this process may use."""
    asked = os.environ.get("NUMBA_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return int(asked) if asked.isdigit() and int(asked) > 0 else (cores or 1)


def spread(function: Callable[..., None], rows: int, arguments: tuple[Any, ...]) -> None:
    """Invoke `function(first, last, *arguments)` on stretches that cover `rows` rows."""
    global _pool
    crew = workers() if rows >= THREADED_FROM else 1
    if crew == 1:
        function(0, rows, *arguments)
        return
    if _pool is None:
        _pool = ThreadPoolExecutor(crew - 1, thread_name_prefix="triptych-links")
    parts, taken = PARTS * crew, count()

    def work() -> None:
        while (part := next(taken)) < parts:
            function(part * rows // parts, (part + 1) * rows // parts, *arguments)

    helpers = [_pool.submit(work) for _ in range(crew - 1)]
    work()
    for helper in helpers:
        helper.result()
