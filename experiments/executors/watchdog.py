"""A thread that ends worker processes whose resident memory grows over their run's limit."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import psutil

from experiments.owners import Owners, host

PERIOD_S = 0.1


class MemoryWatchdog:
    """Watches the process that owns each run in flight, its children included.

    A run may overshoot by what it can touch within `PERIOD_S`.
    """

    def __init__(self) -> None:
        self.killed: dict[int, int] = {}
        """Process id -> resident bytes that it was ended for."""
        self._limits: dict[str, tuple[Path, int]] = {}
        self._over = threading.Event()
        threading.Thread(target=self._watch, name="memory-watchdog", daemon=True).start()

    def watch(self, run_id: str, root: Path, limit_bytes: int) -> None:
        """Keep whoever owns the run in the store at `root` below `limit_bytes`."""
        self._limits[run_id] = (root, limit_bytes)

    def forget(self, run_id: str) -> None:
        """The run is over."""
        self._limits.pop(run_id, None)

    def stop(self) -> None:
        """End the thread."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(PERIOD_S):
            for run_id, (root, limit_bytes) in list(self._limits.items()):
                owner = Owners(root).owner(run_id)
                if owner is not None and _is_ours(owner):
                    self._check(int(owner["pid"]), limit_bytes)

    def _check(self, pid: int, limit_bytes: int) -> None:
        used = resident_bytes(pid)
        if used > limit_bytes and pid != os.getpid():
            self.killed[pid] = used
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return


def _is_ours(owner: dict[str, Any]) -> bool:
    """Say whether the owner is a process that descends from this one: no other may be ended."""
    if owner.get("host") != host():
        return False
    try:
        return os.getpid() in {parent.pid for parent in psutil.Process(int(owner["pid"])).parents()}
    except psutil.Error:
        return False


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process and all that descend from it, 0 if it is gone."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.Error:
            continue
    return total
