"""The process that runs vLLM: `python -m serving.vllm.remote`, one JSON text a line.

`{"start": {...}}` makes the engine and is answered by `{"ready": {...}}`; each `{"run": {...}}`
by `{"done": {...}}`, after questions of an adaptive order, if it has one. What cannot be done is
`{"fault": "..."}`: of a start the end, of a run not. Whatever vLLM prints goes to stderr. It ends
when stdin closes, and with the process that started it.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1  # prctl(2)
PARENT = "TRIPTYCH_PARENT"
"""Variable with the process that started this one."""


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.environ.get(PARENT, str(os.getppid())) != str(os.getppid()):
        raise SystemExit("the process that started this one is gone")


def _limit_memory(mib: int) -> None:
    """Bound what this process may allocate beyond what it has mapped; 0 does not."""
    if mib:
        resource.setrlimit(resource.RLIMIT_DATA, (mib << 20, mib << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Lines:
    """Messages to and from the process that started this one."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
        os.dup2(2, 1)

    def say(self, message: dict[str, Any]) -> None:
        """Send one message."""
        self._out.write(json.dumps(message, separators=(",", ":")) + "\n")

    def hear(self) -> dict[str, Any] | None:
        """Return the next message, None when there will be none."""
        line = sys.stdin.readline()
        return json.loads(line) if line else None


def _why(error: Exception) -> str:
    """Return one line; torch and the operating system word a lack of memory differently."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    lacking = ("memory", "Cannot allocate", "DefaultCPUAllocator")
    if isinstance(error, MemoryError) or any(word in str(error) for word in lacking):
        return f"out of memory: {text}"
    return f"{type(error).__name__}: {text}"


def main() -> int:
    """Serve until stdin closes; return the exit code."""
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lines = Lines()
    opening = lines.hear()
    if opening is None:
        return 0
    wanted = opening["start"]
    _limit_memory(int(wanted["memory_mib"]))
    try:
        from serving.vllm.remote.engine import Engine

        engine = Engine(wanted)
    except (ImportError, MemoryError, OSError, RuntimeError, TypeError, ValueError) as error:
        lines.say({"fault": _why(error)})
        return 1
    lines.say({"ready": engine.about()})
    while (message := lines.hear()) is not None:
        try:
            lines.say({"done": engine.run(message["run"], lines)})
        except (MemoryError, RuntimeError, TypeError, ValueError, KeyError) as error:
            lines.say({"fault": _why(error)})
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
