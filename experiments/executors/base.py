"""The one path by which runs are handed out: submit a task, get a future of its report."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol

from experiments.worker import Report, Task


class Executor(Protocol):
    """Computes tasks. A run's own fault never raises from a future: it is a `failed` report."""

    workers: int

    def submit(self, task: Task) -> Future[Report]:
        """Queue the task."""
        ...

    def stop(self) -> None:
        """End running tasks at once; what they had not stored is computed next time."""
        ...
