"""Runs on a Dask cluster that shares our file system; workers write files and return reports.

Each cluster worker keeps a local pool of its own, so that time-outs, memory limits and crashes
mean there what they mean here.
"""

from __future__ import annotations

import functools
import multiprocessing
import threading
from concurrent.futures import Future
from typing import Any

from experiments.executors.local import LocalExecutor
from experiments.problems import InputError
from experiments.worker import Report, Task


class ClusterExecutor:
    """Submits to the scheduler at `address` (`tcp://host:port`)."""

    def __init__(self, address: str, connect_timeout_s: float = 20.0) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise InputError(
                "--cluster needs dask.distributed: pip install -e '.[cluster]'"
            ) from None
        try:
            self._client = Client(address, timeout=connect_timeout_s)
        except (OSError, ValueError) as error:
            raise InputError(f"--cluster {address}: no scheduler answers there ({error})") from None
        self._executor = self._client.get_executor(pure=False)
        threads: Any = self._client.nthreads()  # a coroutine for asynchronous clients only
        self.workers = max(1, sum(threads.values()))

    def submit(self, task: Task) -> Future[Report]:
        """Queue the task; Dask moves it to another worker if its worker dies."""
        outer: Future[Report] = Future()
        inner: Any = self._executor.submit(run_in_cluster_worker, task)
        inner.add_done_callback(lambda f: _settle(task, f, outer))
        return outer

    def stop(self) -> None:
        """Cancel what is queued and let go of the scheduler."""
        self._executor.shutdown(wait=False)  # cancels what is queued
        self._client.close()


def run_in_cluster_worker(task: Task) -> Report:
    """Do the task in this worker's pool; invoked in a thread of a Dask worker."""
    return _pool().submit(task).result()


_pool_lock = threading.Lock()


def _pool() -> LocalExecutor:
    with _pool_lock:
        return _make_pool()


@functools.cache
def _make_pool() -> LocalExecutor:
    from distributed import get_worker

    # Dask marks its workers as daemons, which may have no children lest they outlive it; ours
    # ask the kernel to end with their parent (`experiments.executors.fork_server`).
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    return LocalExecutor(workers=get_worker().state.nthreads)


def _settle(task: Task, inner: Any, outer: Future[Report]) -> None:
    if inner.cancelled():
        outer.cancel()
    elif (error := inner.exception()) is not None:
        reason = f"the cluster gave it up: {type(error).__name__}: {error}"
        outer.set_result(Report(task.spec.id, "failed", reason=reason))
    else:
        outer.set_result(inner.result())
