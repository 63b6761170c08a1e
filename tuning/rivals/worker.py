"""The process of one entrant: prepares, checks the numbers, then takes a sample when told.

Lines of JSON: the job on stdin; `{"ready": true, ...}` or `{"status": ..., "message": ...}` on
stdout; then for each line on stdin one `{"ns": nanoseconds per call}`. Between samples it sleeps in
a read. Whatever a library prints goes to stderr.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from tuning.operators import operator_from_dict
from tuning.operators.reference import mismatch, random_operands
from tuning.profile.lifeline import end_with_parent
from tuning.profile.priority import ask_for_priority
from tuning.profile.settings import ProfileSettings
from tuning.profile.stopwatch import Stopwatch
from tuning.rivals.base import Prepared
from tuning.rivals.entrant import Entrant, UnsupportedError

WAKE_NS = 30_000_000
"""Before a sample calls are made for about this long: caches fill, and the scheduler finds a core
for each thread. That takes several of its ticks of 4 ms, for a thread may wake on the core of the
one that woke it: after 1 ms, samples of a whole tick were common with two threads."""

MOST_CALLS = 1_000_000


def main() -> None:
    """Serve one contest."""
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ask_for_priority()
    events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    job = json.loads(sys.stdin.readline())
    settings = ProfileSettings.from_dict(job["settings"])
    prepared = _prepare(job, settings, events)
    if prepared is None:
        return
    sample = sampler(prepared, settings, _evict(job, settings))
    _say(events, {"ready": True})
    for _ in sys.stdin:
        _say(events, {"ns": sample()})


def _say(events: TextIO, event: dict[str, Any]) -> None:
    events.write(json.dumps(event) + "\n")


def _prepare(job: dict[str, Any], settings: ProfileSettings, events: TextIO) -> Prepared | None:
    """Return the entrant after its check, or None once it was said why not."""
    operator = operator_from_dict(job["operator"])
    operands = random_operands(operator, settings.seed)
    try:
        entrant = Entrant.from_dict(job["entrant"])
        prepared, version = entrant.prepare(operator, operands, settings.threads)
    except UnsupportedError as error:
        _say(events, {"status": "unsupported", "message": str(error)})
        return None
    except (MemoryError, OSError, AttributeError, ImportError) as error:
        message = f"cannot be prepared: {type(error).__name__}: {error}"
        _say(events, {"status": "crashed", "message": message})
        return None
    prepared.run()
    if settings.check:
        fault = mismatch(operator, operands, prepared.output())
        if fault is not None:
            _say(events, {"status": "wrong", "message": fault})
            return None
    _say(events, {"notes": prepared.notes, "version": version})
    return prepared


def _evict(job: dict[str, Any], settings: ProfileSettings) -> Callable[[], None] | None:
    if settings.cache != "cold":
        return None
    return Stopwatch(Path(job["stopwatch"]), settings.threads, job["evict_bytes"]).evict


def sampler(
    prepared: Prepared, settings: ProfileSettings, evict: Callable[[], None] | None
) -> Callable[[], float]:
    """Return a function that takes one sample: nanoseconds per call.

    Warm: calls one after another for about `min_sample_ns`, as many each time, after untimed ones.
    Cold: one call, caches evicted before it.
    """
    for _ in range(settings.warmup):
        prepared.run()
    calls = max(1, math.ceil(settings.min_sample_ns / max(1.0, _time(prepared, 1))))
    if calls > 1:  # a first call may be slow: judged again by many
        calls = math.ceil(settings.min_sample_ns * calls / _time(prepared, calls))
    calls = max(1, min(calls, MOST_CALLS))

    def warm() -> float:
        start = time.perf_counter_ns()
        prepared.run()
        while time.perf_counter_ns() - start < WAKE_NS:
            prepared.run()
        return _time(prepared, calls) / calls

    def cold() -> float:
        assert evict is not None
        evict()
        return float(_time(prepared, 1))

    return warm if evict is None else cold


def _time(prepared: Prepared, calls: int) -> int:
    """Return the nanoseconds that `calls` calls take, Python's loop included."""
    run = prepared.run
    start = time.perf_counter_ns()
    for _ in range(calls):
        run()
    return max(1, time.perf_counter_ns() - start)


if __name__ == "__main__":
    main()
