"""In the profiler: starts the worker, sends it requests, and tells how it died."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.paths import ROOT
from tuning.profile.board import EVERYBODY, NOBODY, Board
from tuning.profile.lifeline import own_variable
from tuning.profile.settings import ProfileSettings

PREPARE_S = 300.0
"""Seconds that the worker may spend on what is no candidate's: starting, operands, checks."""

_LONGEST_MESSAGE = 400
_LONGEST_EVENT = 1 << 20
_OPENMP = ("OMP_", "GOMP_", "KMP_")


class WorkerLostError(RuntimeError):
    """The worker died or was killed.

    Attributes:
        index: whose turn it was, `NOBODY` if nobody's; `EVERYBODY` if it is the operator's fault.
        status: `crashed` or `timeout`.
    """

    def __init__(self, index: int, status: str, message: str) -> None:
        super().__init__(message)
        self.index, self.status = index, status


class Client:
    """One worker process, started when first asked and again after it was lost.

    Args:
        settings: its threads and time-out.
        watch: the compiled stopwatch.
        evict_bytes: what a cold sample writes first.
    """

    def __init__(self, settings: ProfileSettings, watch: Path, evict_bytes: int) -> None:
        self.board = Board()
        self._settings = settings
        self._arguments = [str(watch), str(settings.threads), str(evict_bytes)]
        self._stderr = os.memfd_create("triptych-stderr")
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""

    def ask(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the worker's events until it has done the request.

        Raises:
            WorkerLostError: it died on the way or took too long; it is gone then.
        """
        if self._process is None or self._process.poll() is not None:
            self._start()
        os.ftruncate(self._stderr, 0)
        self.board.take(NOBODY)
        try:
            self._send(json.dumps(request).encode() + b"\n")
            while True:
                event = self._event()
                if event.get("done") and "failed" in event:
                    raise WorkerLostError(EVERYBODY, "crashed", event["failed"])
                if event.get("done"):
                    return
                yield event
        except BaseException:  # also an interrupt: the worker's state is unknown
            self.stop()
            raise

    def _event(self) -> dict[str, Any]:
        line = self._line()
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            # Read later than written: whose turn it is now says nothing about who wrote it.
            raise WorkerLostError(NOBODY, "crashed", "garbled the profiler's events")
        return event

    def _start(self) -> None:
        self.stop()
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        # What else steers OpenMP in this environment would change times without being on record.
        given = {k: v for k, v in os.environ.items() if not k.startswith(_OPENMP)}
        own = {
            "PYTHONPATH": os.pathsep.join(paths),
            "OMP_NUM_THREADS": str(self._settings.threads),
            "OMP_DYNAMIC": "false",
            "OPENBLAS_NUM_THREADS": "1",
            **own_variable(),
        }
        fds = [str(fd) for fd in self.board.fds]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tuning.profile.worker", *self._arguments, *fds],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=given | own,
            pass_fds=self.board.fds,
            start_new_session=True,
            bufsize=0,
        )
        self._unread = b""

    def _send(self, data: bytes) -> None:
        pipe = self._running().stdin
        if pipe is None:
            raise ValueError("the worker has no stdin")
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(pipe.fileno(), view) :]
        except BrokenPipeError:
            raise self._lost() from None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ValueError("the worker was not started")
        return self._process

    def _line(self) -> bytes:
        """Return the worker's next line, or raise WorkerLostError."""
        out = self._running().stdout
        if out is None:
            raise ValueError("the worker has no stdout")
        while b"\n" not in self._unread:
            index, taken_s = self.board.turn()
            limit_s = PREPARE_S if index == NOBODY else self._settings.timeout_s
            left_s = limit_s - taken_s
            if left_s <= 0:
                self.stop()
                raise WorkerLostError(index, "timeout", f"took longer than {limit_s:g} s")
            if select.select([out], [], [], min(left_s + 0.01, 1.0))[0]:
                if not (piece := os.read(out.fileno(), 1 << 16)):
                    raise self._lost()
                self._unread += piece
                if len(self._unread) > _LONGEST_EVENT:
                    break
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _lost(self) -> WorkerLostError:
        """Return how the worker died, with the end of what it said."""
        code = self._running().wait()
        how = signal.Signals(-code).name if code < 0 else f"ended with exit code {code}"
        length = os.fstat(self._stderr).st_size
        said = os.pread(self._stderr, _LONGEST_MESSAGE, max(0, length - _LONGEST_MESSAGE))
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        return WorkerLostError(self.board.turn()[0], "crashed", f"{how}: {last}" if last else how)

    def stop(self) -> None:
        """End the worker; the next request starts another one."""
        if (process := self._process) is None:
            return
        self._process = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def close(self) -> None:
        """End the worker and give back what it shared."""
        self.stop()
        self.board.close()
        os.close(self._stderr)
