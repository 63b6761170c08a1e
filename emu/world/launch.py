"""Runs a function of ours in a private world and brings back what it returns, as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from emu.problems import EmulationError
from experiments.paths import ROOT
from experiments.setup.packages import PROGRAMS

_UNSHARE = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_LAST_WORDS = 600


def run_private(
    entry: str,
    request: Any,
    *,
    timeout_s: float,
    on_note: Callable[[Any], None] | None = None,
) -> Any:
    """Run `entry` in namespaces of its own; nothing that it starts or makes outlives the call.

    Args:
        entry: "package.module:function", called with (request, note); `note(value)` hands a JSON
            value to `on_note` while the function runs.
        request: JSON-able, the function's first argument.
        timeout_s: seconds after which all is ended.
        on_note: gets the function's notes, in order.

    Returns:
        What the function returned; it has been through JSON.

    Raises:
        EmulationError: not root, the function raised one, it crashed, or it took too long.
    """
    if os.geteuid() != 0:
        raise EmulationError("emulation needs root (network namespaces); run as root")
    expired = threading.Event()
    with tempfile.TemporaryFile() as stderr, _started(stderr) as process:
        timer = threading.Timer(timeout_s, _expire, [process, expired])
        timer.start()
        try:
            answer = _conversation(process, entry, request, on_note or (lambda note: None))
        finally:
            timer.cancel()
            _end(process)
            timer.join()
        if answer is not None:
            return answer["value"]
        if expired.is_set():
            raise EmulationError(f"{entry} took longer than {timeout_s:g} s and was ended")
        raise EmulationError(f"{entry} ended without an answer: {_last_words(stderr)}")


@contextlib.contextmanager
def _started(stderr: IO[bytes]) -> Iterator[subprocess.Popen[str]]:
    """Start the child; `setpriv` has the kernel kill it should this process die first."""
    inside = [sys.executable, "-m", "emu.world.inside"]
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", *_UNSHARE, *inside]
    try:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    except FileNotFoundError:
        remedy = PROGRAMS["setpriv"].remedy
        raise EmulationError(f"emulation needs setpriv and unshare: {remedy}") from None
    with process:
        try:
            yield process
        finally:
            _end(process)


def _conversation(
    process: subprocess.Popen[str], entry: str, request: Any, on_note: Callable[[Any], None]
) -> dict[str, Any] | None:
    """Return the line with the function's value, or None if the child ended without one."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps({"entry": entry, "request": request}) + "\n")
        process.stdin.flush()
    for line in _lines(process.stdout):
        if line["kind"] == "note":
            on_note(line["value"])
        elif line["kind"] == "problem":
            raise EmulationError(line["message"])
        else:
            return line
    return None


def _lines(stdout: IO[str]) -> Iterator[dict[str, Any]]:
    for line in stdout:
        if not line.endswith("\n"):
            return  # it died while it wrote
        yield json.loads(line)


def _last_words(stderr: IO[bytes]) -> str:
    stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - _LAST_WORDS))
    text = stderr.read().decode(errors="replace").strip()
    return text.splitlines()[-1] if text else "no message"


def _expire(process: subprocess.Popen[str], expired: threading.Event) -> None:
    expired.set()
    _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Kill the first process inside, so that `unshare` ends only once all others there are gone."""
    if process.poll() is not None:
        return
    try:
        path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        children = [int(pid) for pid in path.read_text(encoding="ascii").split()]
    except OSError:
        children = []
    for pid in children or [process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
