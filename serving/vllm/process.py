"""vLLM's process: started, talked to in JSON lines, and never left behind."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODULE = ("-m", "serving.vllm.remote")
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "HF_HUB_OFFLINE": "1",
    "PYTHONPATH": str(ROOT),
}
_LONGEST_LINE = 1 << 28
_LONGEST_MESSAGE = 600


class VllmError(RuntimeError):
    """vLLM is absent, refused, died or took too long; the message is one line and says which."""


def python_of_vllm() -> Path:
    """Return the Python that has vLLM: of `.venv-vllm`, or of the folder in TRIPTYCH_VLLM."""
    folder = os.environ.get("TRIPTYCH_VLLM")
    return (Path(folder) if folder else ROOT / ".venv-vllm") / "bin" / "python"


class VllmProcess:
    """A process that runs vLLM; use as a context manager.

    Args:
        python: whose environment holds vLLM; `python_of_vllm()` if None.
        threads: that torch may use; times are measured with one.

    Raises:
        VllmError: there is no such Python.
    """

    def __init__(self, python: Path | None = None, threads: int = 1) -> None:
        python = python or python_of_vllm()
        if not python.exists():
            raise VllmError(f"vLLM is not here: {python} does not exist; make vllm installs it")
        self._said = os.memfd_create("triptych-stderr")
        self._unread = bytearray()
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "VLLM_"))}
        own = {"OMP_NUM_THREADS": str(threads), "TRIPTYCH_PARENT": str(os.getpid())}
        self._process = subprocess.Popen(
            [str(python), *MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=kept | ENVIRONMENT | own,
            start_new_session=True,
            bufsize=0,
        )

    def __enter__(self) -> VllmProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def close(self) -> None:
        """End the process and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if self._said >= 0:
            os.close(self._said)
            self._said = -1

    def send(self, message: dict[str, Any]) -> None:
        """Send one message.

        Raises:
            VllmError: the process is gone.
        """
        assert self._process.stdin is not None
        view = memoryview(json.dumps(message).encode() + b"\n")
        try:
            while view:
                view = view[os.write(self._process.stdin.fileno(), view) :]
        except (BrokenPipeError, ValueError):
            raise self._lost() from None

    def receive(self, timeout_s: float) -> dict[str, Any]:
        """Return the next message.

        Raises:
            VllmError: none came in time, it is no JSON object, or it tells of a fault.
        """
        line = self._line(timeout_s)
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise VllmError(f"vLLM's process answered {line[:80]!r}, which is no message")
        if "fault" in found:
            raise VllmError(f"vLLM: {found['fault']}")
        return found

    def _line(self, timeout_s: float) -> bytes:
        assert self._process.stdout is not None
        out, end, searched = self._process.stdout.fileno(), time.monotonic() + timeout_s, 0
        while (at := self._unread.find(b"\n", searched)) < 0:
            searched = len(self._unread)
            left = end - time.monotonic()
            if left <= 0:
                raise VllmError(f"vLLM took longer than {timeout_s:g} s; its process is ended")
            if select.select([out], [], [], left)[0]:
                if not (piece := os.read(out, 1 << 20)):
                    raise self._lost()
                self._unread += piece
            if len(self._unread) > _LONGEST_LINE:
                raise VllmError("vLLM's process answered with an endless line")
        line = bytes(self._unread[:at])
        del self._unread[: at + 1]
        return line

    def _lost(self) -> VllmError:
        """Return how the process ended, with the last line that it said."""
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return VllmError("vLLM's process was killed (SIGKILL): by hand, or for want of memory")
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"left with code {code}"
        length = os.fstat(self._said).st_size
        said = os.pread(self._said, _LONGEST_MESSAGE, max(0, length - _LONGEST_MESSAGE))
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        return VllmError(f"vLLM's process {how}{f': {last}' if last else ''}")
