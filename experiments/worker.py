"""One run, in the process that does it: own it, compute it, store it."""

from __future__ import annotations

import math
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from experiments import provenance
from experiments.identity import RunSpec
from experiments.kinds.base import KINDS, Outcome
from experiments.owners import STALE_AFTER_S, Owners
from experiments.store import Store
from policies.registry import load_plugin

Status = Literal["done", "cached", "busy", "failed"]


@dataclass(frozen=True)
class Task:
    """What a worker is handed: a run, where its results go, and plug-ins to load first."""

    spec: RunSpec
    root: Path
    plugins: tuple[Path, ...] = ()
    refresh: bool = False
    source: dict[str, Any] | None = None


@dataclass(frozen=True)
class Report:
    """What became of a task. `reason` is one line, for people, where it failed."""

    run_id: str
    status: Status
    seconds: float = 0.0
    reason: str = ""


def registries() -> list[Any]:
    """Return every registry that a plug-in may add to: run kinds, and each kind's policies."""
    found = {id(KINDS): KINDS}
    for name in KINDS.names():
        registry = KINDS.get(name).policies
        if registry is not None:
            found[id(registry)] = registry
    return list(found.values())


def execute(task: Task) -> Report:
    """Do a task and store its result or its failure.

    A run that another live process is doing is left to it and reported as `busy`. Whatever the
    run raises becomes a recorded failure; only `KeyboardInterrupt` and `SystemExit` go on.
    """
    spec, store, owners = task.spec, Store(task.root), Owners(task.root)
    for plugin in task.plugins:
        load_plugin(plugin, registries())
    if not owners.claim(spec.id):
        return Report(spec.id, "busy")
    started = time.perf_counter()
    try:
        if store.has(spec.id) and not _is_wanted_again(store, task):
            return Report(spec.id, "cached")
        with _heartbeat(lambda: owners.touch(spec.id)):
            _compute_and_store(task, store)
        return Report(spec.id, "done", time.perf_counter() - started)
    except Exception as error:  # a run may raise anything; that is its failure, not ours
        reason = f"{type(error).__name__}: {str(error)[:500]}"
        record = failure_record(spec, "error", reason, traceback.format_exc())
        store.put_failure(spec.id, record)
        return Report(spec.id, "failed", time.perf_counter() - started, reason)
    finally:
        owners.release(spec.id)


def failure_record(spec: RunSpec, how: str, reason: str, trace: str = "") -> dict[str, Any]:
    """Return what is kept of a failure; `how` is error, timeout, memory or killed."""
    return {
        "id": spec.id,
        "kind": spec.kind,
        "config": spec.config,
        "how": how,
        "reason": reason,
        "traceback": trace,
        "time": _now(),
    }


def _is_wanted_again(store: Store, task: Task) -> bool:
    """Say whether a finished run is to be redone: asked for, and made by other code than now."""
    known = store.provenance(task.spec.id) or {}
    return task.refresh and known.get("fingerprint") != task.spec.fingerprint


def _compute_and_store(task: Task, store: Store) -> None:
    spec = task.spec
    provenance.reset_peak_memory()
    start, wall, cpu = _now(), time.perf_counter(), time.process_time()
    outcome: Outcome = KINDS.get(spec.kind).run(dict(spec.config))
    _check_metrics(outcome)
    store.put(
        spec.id,
        outcome,
        {
            "schema": 1,
            "id": spec.id,
            "status": "done",
            "kind": spec.kind,
            "config": spec.config,
            "fingerprint": spec.fingerprint,
            "seed_entropy": spec.config["seed"],
            "start": start,
            "end": _now(),
            "wall_s": time.perf_counter() - wall,
            "cpu_s": time.process_time() - cpu,
            "peak_memory_bytes": provenance.peak_memory_bytes(),
            "notes": list(outcome.notes),
            "measured": dict(outcome.measured),
            "warnings": [],
            **provenance.machine(),
            **(task.source or provenance.source()),
        },
    )


def _check_metrics(outcome: Outcome) -> None:
    for name, value in outcome.metrics.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"metric {name!r} is {value}")


class _heartbeat:  # used as a function that returns a context
    """Call `beat` every so often, from a thread, until the block ends."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat, self._over = beat, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(STALE_AFTER_S / 6):
            self._beat()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
