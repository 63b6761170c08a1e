"""A compiled function over many rows on all cores, without a thread that waits busily.

The functions give up Python's lock, so plain threads do. OpenMP's spin at the end of every
parallel region, which costs more than it gives where other jobs want the cores as well.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from typing import Any

import numpy as np
from numba import njit

from sim.net.engine.memory import ints, offset
from sim.net.envs.bare import take_one

THREADED_FROM = 64
"""Rows from which on threads pay."""
PIECE = 4
"""Rows taken at a time: rows differ in cost, and who is done helps the others."""
APART = 16
"""Words between the workers' counters, so that no two share a line of the cache."""

_inboxes: list[SimpleQueue[Any]] = []


def _forget() -> None:
    _inboxes.clear()
    workers.cache_clear()


os.register_at_fork(after_in_child=_forget)


@cache
def workers() -> int:
    """Return how many threads there are: the cores that this process may use at the first step."""
    asked = os.environ.get("NUMBA_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return int(asked) if asked.isdigit() and int(asked) > 0 else (cores or 1)


def _serve(inbox: SimpleQueue[Any]) -> None:
    while True:
        function, worker, arguments, done = inbox.get()
        failure = None
        try:
            function(worker, *arguments)
        except BaseException as error:
            failure = error
        done.put(failure)
        del function, arguments, failure  # nothing is kept alive while it waits


def spread(function: Callable[..., None], rows: int, arguments: tuple[Any, ...]) -> None:
    """Invoke `function(worker, taken, *arguments)` in every thread; it asks `claim` for rows."""
    crew = workers() if rows >= THREADED_FROM else 1
    while len(_inboxes) < crew - 1:
        inbox: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=_serve, args=(inbox,), daemon=True).start()
        _inboxes.append(inbox)
    arguments = (np.zeros(crew * APART, np.int64), *arguments)
    done: SimpleQueue[BaseException | None] = SimpleQueue()
    for worker in range(1, crew):
        _inboxes[worker - 1].put((function, worker, arguments, done))
    try:
        function(0, *arguments)
    finally:
        failures = [done.get() for _ in range(crew - 1)]
    for failure in failures:
        if failure is not None:
            raise failure


@njit(cache=True)
def claim(worker: int, taken: Any, rows: int) -> Any:
    """Return the first and last + 1 of rows to do next, equal if none are left.

    A worker has the same rows every time, for they are in its core's cache; then others' rows.
    """
    crew = len(taken) // APART
    for k in range(crew):
        whose = (worker + k) % crew
        stop = (whose + 1) * rows // crew
        first = whose * rows // crew
        first += PIECE * take_one(offset(ints(taken.ctypes.data), whose * APART))
        if first < stop:
            return first, min(first + PIECE, stop)
    return rows, rows
