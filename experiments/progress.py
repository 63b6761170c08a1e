"""Progress on standard error: counts, failures and time left; lines where there is no terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from experiments.worker import Report


class Progress:
    """Shows how far a session is; use as a context and call with each report."""

    LINE_PERIOD_S = 10.0

    def __init__(self, label: str, total: int, workers: int, stream: TextIO | None = None) -> None:
        self.label, self.total, self.workers = label, total, workers
        self.finished = self.failed = 0
        self._stream = stream or sys.stderr
        self._start = self._last_line = time.monotonic()
        self._bar = None

    def __enter__(self) -> Progress:
        if self._stream.isatty() and self.total:
            self._bar = _make_bar()
            self._task = self._bar.add_task(self.label, total=self.total, failed="")
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, report: Report) -> None:
        """Count one finished run."""
        self.finished += 1
        self.failed += report.status == "failed"
        if self._bar is not None:
            note = f"[red]{self.failed} failed" if self.failed else ""
            self._bar.update(self._task, advance=1, failed=note)
        elif time.monotonic() - self._last_line >= self.LINE_PERIOD_S:
            self._last_line = time.monotonic()
            print(self.line(), file=self._stream, flush=True)

    def seconds_left(self) -> float:
        """Return the expected time for the rest, from the mean so far."""
        if not self.finished:
            return 0.0
        spent = time.monotonic() - self._start
        return spent / self.finished * (self.total - self.finished)

    def line(self) -> str:
        """Return the state as one line of text."""
        failed = f", {self.failed} failed" if self.failed else ""
        left = duration(self.seconds_left())
        return f"{self.label}: {self.finished}/{self.total} runs{failed}, about {left} left"


def duration(seconds: float) -> str:
    """Return a length of time as people write it: `8 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.2g} s" if 0 < seconds < 1 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _make_bar():
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[failed]}"),
    )
    return Bar(*columns, console=Console(stderr=True))
