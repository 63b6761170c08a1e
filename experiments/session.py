"""Doing a list of runs: what is missing, with progress, resumable at any moment."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from experiments import provenance
from experiments.executors.base import Executor
from experiments.identity import RunSpec
from experiments.kinds.base import KINDS
from experiments.run_index import RunIndex
from experiments.store import Store
from experiments.worker import Report, Task

IN_FLIGHT_PER_WORKER = 8
BUSY_PERIOD_S = 0.5


@dataclass
class Tally:
    """What a session did. `failed` maps run id -> one-line reason."""

    done: int = 0
    cached: int = 0
    stale: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def missing(runs: Iterable[RunSpec], store: Store, refresh: bool) -> tuple[list[RunSpec], Tally]:
    """Return the runs to compute, and a tally of those that need not be.

    A finished run that other code made is `stale`: it is kept, unless `refresh` asks for it.
    """
    runs = list(runs)
    made_by = RunIndex(store).fingerprints(spec.id for spec in runs)
    tally, todo = Tally(), []
    for spec in runs:
        stale = spec.id in made_by and made_by[spec.id] != spec.fingerprint
        tally.stale += stale
        tally.cached += spec.id in made_by and not stale
        if spec.id not in made_by or (stale and refresh):
            todo.append(spec)
    return todo, tally


def is_exclusive(spec: RunSpec) -> bool:
    """Say whether a run must have the machine to itself, for it measures how fast that is."""
    return getattr(KINDS.get(spec.kind), "exclusive", False)


def compute(
    runs: Sequence[RunSpec],
    store: Store,
    executor: Executor,
    *,
    plugins: Sequence[Path] = (),
    refresh: bool = False,
    on_report: Callable[[Report], None] = lambda report: None,
) -> Tally:
    """Compute `runs` and return the tally; a failure of one is no reason to stop the others.

    Exclusive runs come last, one at a time: on a cluster too, where workers may share a host.

    Raises:
        KeyboardInterrupt: Ctrl-C; the executor is the caller's to stop. All that had finished
            is stored, and calling again goes on with the rest.
    """
    tally = Tally()
    source = provenance.source()
    tasks = [Task(spec, store.root, tuple(plugins), refresh, source) for spec in runs]
    alone = [task for task in tasks if is_exclusive(task.spec)]
    others = _each_policy_once_first([task for task in tasks if not is_exclusive(task.spec)])
    together = IN_FLIGHT_PER_WORKER * executor.workers
    for report in chain(_reports(others, executor, together), _reports(alone, executor, 1)):
        if report.status == "failed":
            tally.failed[report.run_id] = report.reason
        elif report.status == "cached":
            tally.cached += 1
        else:
            tally.done += 1
        on_report(report)
    return tally


def _each_policy_once_first(tasks: Sequence[Task]) -> list[Task]:
    """Put a run of each policy before all others.

    Where nothing is compiled yet, workers then compile for different policies at a time, rather
    than all of them for the same.
    """
    first = {(task.spec.kind, task.spec.config.get("policy")): task for task in reversed(tasks)}
    chosen = {task.spec.id for task in first.values()}
    return sorted(tasks, key=lambda task: task.spec.id not in chosen)


def _reports(tasks: Iterable[Task], executor: Executor, at_once: int) -> Iterator[Report]:
    """Yield final reports, with at most `at_once` runs handed out.

    Runs that another process is doing are asked for again later.
    """
    waiting = deque(tasks)
    flying: dict[Future[Report], Task] = {}
    while waiting or flying:
        while waiting and len(flying) < at_once:
            task = waiting.popleft()
            flying[executor.submit(task)] = task
        finished, _ = wait(flying, return_when=FIRST_COMPLETED)
        busy = 0
        for future in finished:
            task, report = flying.pop(future), future.result()
            if report.status == "busy":
                waiting.append(task)
                busy += 1
            else:
                yield report
        if busy and busy == len(finished):
            time.sleep(BUSY_PERIOD_S)
