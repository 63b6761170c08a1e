"""Imported first by the fork server, which then ends with the command that started it.

Workers hold the pipe that the fork server waits on, so that without this a command that is killed
leaves both running until the run in hand is over. Workers end with the fork server in turn.
"""

from __future__ import annotations

import ctypes
import signal

PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent() -> None:
    """Let the kernel kill this process when the thread that started it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


die_with_parent()
