"""Priority for a process that takes times, where the system grants it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
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


@contextlib.contextmanager
def preferred() -> Iterator[None]:
    """Give all threads of this process that priority for a while, where the system grants it.

    Threads that are started meanwhile inherit it; all end with the value that the caller had.
    """
    before = os.getpriority(os.PRIO_PROCESS, 0)
    _renice(min(before, NICE))
    try:
        yield
    finally:
        _renice(before)


def _renice(value: int) -> None:
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # not allowed, or the thread has ended
            os.setpriority(os.PRIO_PROCESS, int(thread.name), value)
