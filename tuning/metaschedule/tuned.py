"""MetaSchedule tunes one operator, in a process that may crash, within trials and seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tuning.operators import Operator
from tuning.profile import measuring
from tuning.rivals.process import EntrantLostError, EntrantProcess

WORKER = (sys.executable, "-m", "tuning.metaschedule.worker")
RECORDS = "database_tuning_record.json"
EXPORT_S = 300.0
"""Seconds that compiling the winner may take; they are no part of the tuning."""


@dataclass(frozen=True)
class MetaTuned:
    """What MetaSchedule found.

    Attributes:
        best_ns: best mean time of one call as MetaSchedule measured it, summed over the functions
            that the operator became; 0 if one of them has none.
        library: the winner, compiled, for `Entrant.tvm`; None if there is none or it is wrong.
        trials: candidates that were built or run, failed ones included.
        build_errors: of these, how many did not build.
        run_errors: how many did not run.
        seconds: wall-clock time of tuning, TVM's start included, the export left out.
        history: (seconds since tuning began, best_ns until then), one per improvement.
        tasks: functions that were tuned.
        cost_model: `xgb` or `random`.
        status: `ok`, `timeout` (stopped by the limit; the best until then counts), `crashed`,
            `wrong` (the winner's numbers are).
        message: reason, if not `ok`, or the last error of a candidate.
    """

    best_ns: float
    library: Path | None
    trials: int
    build_errors: int
    run_errors: int
    seconds: float
    history: list[tuple[float, float]] = field(default_factory=list)
    tasks: int = 0
    cost_model: str = ""
    status: str = "ok"
    message: str = ""


@dataclass
class _Tally:
    """What the worker has told so far."""

    tasks: int = 0
    cost_model: str = ""
    trials: int = 0
    build_errors: int = 0
    run_errors: int = 0
    message: str = ""
    best: dict[int, float] = field(default_factory=dict)
    history: list[tuple[float, float]] = field(default_factory=list)

    @property
    def best_ns(self) -> float:
        whole = self.tasks > 0 and len(self.best) == self.tasks
        return sum(self.best.values()) if whole else 0.0

    def result(self, library: Path | None, spent_s: float, status: str, message: str) -> MetaTuned:
        """Return what was told, as the result of a tuning that ended so."""
        told = (self.trials, self.build_errors, self.run_errors, spent_s, self.history)
        about = (self.tasks, self.cost_model, status, message)
        return MetaTuned(self.best_ns, library, *told, *about)

    def take(self, event: dict[str, Any]) -> None:
        """Add one event; one that is malformed counts as a crash of the worker."""
        try:
            self.tasks = int(event.get("tasks", self.tasks))
            self.cost_model = str(event.get("cost_model", self.cost_model))
            self.build_errors += int(event.get("build_errors", 0))
            self.run_errors += int(event.get("run_errors", 0))
            self.message = str(event.get("message") or self.message)
            for seconds, taken_ns in event.get("trials", ()):
                self.trials += 1
                if taken_ns is not None:
                    self._run(int(event["task"]), float(seconds), float(taken_ns))
        except (KeyError, TypeError, ValueError) as error:
            raise EntrantLostError("crashed", f"answered nonsense: {error}") from None

    def _run(self, task: int, seconds: float, taken_ns: float) -> None:
        if not 0 < taken_ns < float("inf"):
            raise ValueError(f"{taken_ns} is no time")
        if taken_ns < self.best.get(task, float("inf")):
            self.best[task] = taken_ns
            if self.best_ns:
                self.history.append((seconds, self.best_ns))


def tune_metaschedule(
    operator: Operator,
    trials: int,
    threads: int,
    seconds: float,
    folder: Path,
    seed: int = 0,
    strategy: str = "evolutionary",
    command: Sequence[str] = WORKER,
) -> MetaTuned:
    """Tune `operator` as fairly as the wheel allows.

    Same threads, same types, an explicit processor, constants free in their layout (rewritten ahead
    of time), XGBoost for a cost model where it is installed, batches of 16.

    Args:
        operator: what to compute.
        trials: candidates per function at most.
        threads: of the tuned code, in measuring too.
        seconds: after which everything that TVM started is killed; what is in the database by
            then counts.
        folder: empty or new; gets the database, TVM's logs and the library.
        seed: of the search.
        strategy: `evolutionary` (TVM's default) or `replay-trace`, which is random search.
        command: what is started.

    Raises:
        ValueError: an argument is out of range, or `folder` holds an earlier tuning.
        OSError: `folder` cannot be made.
    """
    if trials < 1 or not seconds > 0:
        raise ValueError(f"trials and seconds must be positive, not {trials} and {seconds}")
    if (folder / RECORDS).exists():
        raise ValueError(f"folder: {folder} holds an earlier tuning; give an empty one")
    folder.mkdir(parents=True, exist_ok=True)
    job = {
        "operator": operator.to_dict(),
        "trials": trials,
        "threads": threads,
        "folder": str(folder.absolute()),
        "seed": seed,
        "strategy": strategy,
    }
    tally = _Tally()
    end, spent, status, message = _tune(job, threads, seconds, tally, command)
    if status != "ok" and tally.best_ns:
        try:
            end = _work(job | {"only_export": True}, threads, EXPORT_S, _Tally(), command)
        except EntrantLostError as lost:
            message = f"{message}; and the export: {lost}"
    library = Path(end["exported"]) if end.get("exported") else None
    if end.get("fault"):
        status, message, library = "wrong", str(end["fault"]), None
    message = message or tally.message
    return tally.result(library, spent, status, message)


def _tune(
    job: dict[str, Any], threads: int, seconds: float, tally: _Tally, command: Sequence[str]
) -> tuple[dict[str, Any], float, str, str]:
    """Return the worker's last event, the seconds of tuning, the status, and why if not `ok`."""
    status, message = "ok", ""
    with measuring():
        start = time.monotonic()
        try:
            end = _work(job | {"only_export": False}, threads, seconds, tally, command)
        except EntrantLostError as lost:
            end, status, message = {}, lost.status, str(lost)
        return end, end.get("ended", time.monotonic()) - start, status, message


def _work(
    job: dict[str, Any], threads: int, seconds: float, tally: _Tally, command: Sequence[str]
) -> dict[str, Any]:
    """Return the worker's last event, and when tuning `ended` before the export began."""
    with EntrantProcess(threads, command) as process:
        limit = time.monotonic() + seconds
        ended: float | None = None
        process.send(job)
        while True:
            event = process.receive(max(0.0, limit - time.monotonic()))
            if event.get("tuned"):
                ended = time.monotonic()
                limit = ended + EXPORT_S
            elif "exported" in event:
                return event | {"ended": ended or time.monotonic()}
            else:
                tally.take(event)
