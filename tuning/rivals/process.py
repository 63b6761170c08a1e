"""In the contest: one entrant's process, asked for samples, and how it died if it did."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from experiments.paths import ROOT
from tuning.profile.lifeline import own_variable
from tuning.rivals.base import thread_variables

_LONGEST_LINE = 1 << 20
_LONGEST_MESSAGE = 400
_OPENMP = ("OMP_", "GOMP_", "KMP_")
"""Variables that would change an entrant's times without being on record."""

KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
"""Makes glibc keep what is freed: a library that allocates its output anew at each call then gets
the same pages back, as a kernel does that writes over one buffer. 32 MiB is glibc's maximum."""

WORKER = (sys.executable, "-m", "tuning.rivals.worker")


class EntrantLostError(RuntimeError):
    """The process died, was killed for taking too long, or answered nonsense.

    Attributes:
        status: `crashed` or `timeout`.
    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class EntrantProcess:
    """A worker with its own thread pools; use as a context manager.

    Args:
        threads: that its libraries may use.
        command: what is started.
    """

    def __init__(self, threads: int, command: Sequence[str] = WORKER) -> None:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        own = thread_variables(threads) | KEEP_MEMORY | own_variable()
        own["PYTHONPATH"] = os.pathsep.join(paths)
        self._said = os.memfd_create("triptych-stderr")
        self._unread = b""
        self._process = subprocess.Popen(
            [*command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={k: v for k, v in os.environ.items() if not k.startswith(_OPENMP)} | own,
            start_new_session=True,
            bufsize=0,
        )

    def __enter__(self) -> EntrantProcess:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        os.close(self._said)

    def send(self, message: dict[str, Any]) -> None:
        """Send one line.

        Raises:
            EntrantLostError: the process is gone.
        """
        assert self._process.stdin is not None
        view = memoryview(json.dumps(message).encode() + b"\n")
        try:
            while view:
                view = view[os.write(self._process.stdin.fileno(), view) :]
        except BrokenPipeError:
            raise self._lost() from None

    def receive(self, timeout_s: float) -> dict[str, Any]:
        """Return the next line.

        Raises:
            EntrantLostError: none came in time, or it is no JSON object.
        """
        assert self._process.stdout is not None
        out, end = self._process.stdout.fileno(), time.monotonic() + timeout_s
        while b"\n" not in self._unread:
            left = end - time.monotonic()
            if left <= 0:
                raise EntrantLostError("timeout", f"took longer than {timeout_s:g} s")
            if select.select([out], [], [], left)[0]:
                if not (piece := os.read(out, 1 << 16)):
                    raise self._lost()
                self._unread += piece
            if len(self._unread) > _LONGEST_LINE:
                raise EntrantLostError("crashed", "answered with an endless line")
        line, _, self._unread = self._unread.partition(b"\n")
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise EntrantLostError("crashed", f"answered {line[:80]!r}, which is no message")
        return found

    def _lost(self) -> EntrantLostError:
        """Return how the process ended, with the last line that it said."""
        code = self._process.wait()
        how = signal.Signals(-code).name if code < 0 else f"ended with exit code {code}"
        length = os.fstat(self._said).st_size
        said = os.pread(self._said, _LONGEST_MESSAGE, max(0, length - _LONGEST_MESSAGE))
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        return EntrantLostError("crashed", f"{how}: {last}" if last else how)
