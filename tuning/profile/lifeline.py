"""Worker processes end with the process that started them, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1  # prctl(2)

PARENT = "TRIPTYCH_PARENT"
"""Variable in a worker's environment: the process that started it."""


def own_variable() -> dict[str, str]:
    """Return what a worker's environment says about this process."""
    return {PARENT: str(os.getpid())}


def tie_to_parent() -> None:
    """Ask the kernel to end this process with its parent; safe between fork and exec."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_with_parent() -> None:
    """Tie this worker to the process that started it, and end now if that is gone already."""
    tie_to_parent()
    if os.environ.get(PARENT, str(os.getppid())) != str(os.getppid()):
        raise SystemExit("the process that started this worker is gone")
