"""Priority for a process that takes times, where the system grants it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

NICE = -15


def ask_for_priority() -> None:
    """Ask that other processes take few time slices from this one, which should lead a session.

    Linux may group processes by session before it looks at nice values ("autogroup"); then the
    group's value counts. Both need root as a rule; without it nothing changes.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    with contextlib.suppress(OSError):
        if os.getsid(0) == os.getpid():  # nobody else's group
            Path("/proc/self/autogroup").write_text(str(NICE), encoding="ascii")
