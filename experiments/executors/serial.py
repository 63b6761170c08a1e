"""Runs in this very process, one after the other: for debuggers, and for one run at a time."""

from __future__ import annotations

from concurrent.futures import Future

from experiments.worker import Report, Task, execute


class SerialExecutor:
    """No isolation: a crash of a run ends the command, and limits are not kept."""

    workers = 1

    def submit(self, task: Task) -> Future[Report]:
        """Do the task now."""
        future: Future[Report] = Future()
        future.set_result(execute(task))
        return future

    def stop(self) -> None:
        """Nothing runs between two calls."""
