"""Worker processes on this machine; a crash, hang or memory blow-up ends only its own run."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from pebble import ProcessExpired, ProcessPool

from experiments.executors.fork_server import fork_server, start_worker
from experiments.executors.watchdog import MemoryWatchdog
from experiments.identity import RunSpec
from experiments.owners import Owners
from experiments.store import Store
from experiments.worker import Report, Task, execute, failure_record

MAX_RESUBMITS = 3


class LocalExecutor:
    """A pool of worker processes, each kept between runs and replaced when it dies."""

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))
        self._context = fork_server()
        self._watchdog = MemoryWatchdog()
        self._lock = threading.Lock()
        self._pool = self._new_pool()
        self._stopping = False

    def submit(self, task: Task) -> Future[Report]:
        """Queue the task; its future never raises but for `CancelledError` after `stop`."""
        outer: Future[Report] = Future()
        self._schedule(task, outer, resubmits=0)
        return outer

    def stop(self) -> None:
        """Kill the workers and forget what is queued."""
        self._stopping = True
        self._watchdog.stop()
        self._pool.stop()
        self._pool.join()

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self.workers, context=self._context, initializer=start_worker
        )

    def _schedule(self, task: Task, outer: Future[Report], resubmits: int) -> None:
        self._watchdog.watch(task.spec.id, task.root, task.spec.limits.memory_mib << 20)
        pool = self._pool
        timeout = task.spec.limits.timeout_s
        try:
            inner = pool.schedule(execute, args=(task,), timeout=timeout)
        except RuntimeError:  # the pool broke since; everything queued goes to a new one
            inner = self._replacement(pool).schedule(execute, args=(task,), timeout=timeout)
        inner.add_done_callback(lambda f: self._settle(task, f, outer, pool, resubmits))

    def _settle(
        self, task: Task, inner: Any, outer: Future[Report], pool: ProcessPool, resubmits: int
    ) -> None:
        self._watchdog.forget(task.spec.id)
        if inner.cancelled() or self._stopping:
            outer.cancel()
            return
        error = inner.exception()
        if error is None:
            outer.set_result(inner.result())
        elif isinstance(error, BrokenProcessPool) and resubmits < MAX_RESUBMITS:
            self._replacement(pool)
            self._schedule(task, outer, resubmits + 1)
        else:
            outer.set_result(self._failure(task, error))

    def _replacement(self, broken: ProcessPool) -> ProcessPool:
        with self._lock:
            if self._pool is broken and not self._stopping:
                self._pool = self._new_pool()
            return self._pool

    def _failure(self, task: Task, error: BaseException) -> Report:
        """Record a failure that the worker could not record itself."""
        spec, store = task.spec, Store(task.root)
        if store.has(spec.id) and not task.refresh:
            return Report(spec.id, "done")  # it died after its result was in place
        how, reason = _what_happened(spec, error, self._watchdog)
        owners = Owners(task.root)
        try:
            store.put_failure(spec.id, failure_record(spec, how, reason))
            if owners.owner(spec.id) is None:
                owners.release(spec.id)
        except OSError as trouble:  # a full or read-only disk must not keep the session waiting
            reason = f"{reason} (not recorded: {trouble})"
        return Report(spec.id, "failed", reason=reason)


def _what_happened(
    spec: RunSpec, error: BaseException, watchdog: MemoryWatchdog
) -> tuple[str, str]:
    limits = spec.limits
    if isinstance(error, TimeoutError):
        return "timeout", f"took longer than its limit of {limits.timeout_s:g} s and was ended"
    if isinstance(error, ProcessExpired):
        used = watchdog.killed.get(error.pid or 0)
        if used is not None:
            grown = f"grew to {used >> 20} MiB, over its limit of {limits.memory_mib} MiB"
            return "memory", f"{grown}, and was ended"
        code = error.exitcode
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return "killed", f"its process died ({how})"
    return "killed", f"{type(error).__name__}: {error}"
