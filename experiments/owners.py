"""Who is at a run: a lock file per run, taken over when its owner is dead.

A file is made complete and then linked under its name, which fails if the name exists; so no
reader sees half of one. Only taking over needs a mutex, so that of two who see a dead owner one
cannot remove the other's fresh file.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from experiments.files import read_json

STALE_AFTER_S = 120.0
"""An owner on another host that has not touched its file for so long counts as dead."""


class Owners:
    """Ownership of runs below one store."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "owners"

    def claim(self, run_id: str) -> bool:
        """Take the run if nobody alive has it; say whether it is ours now."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._create(run_id):
            return True
        if self._is_alive(run_id):
            return False
        self._remove_unless(run_id, self._is_alive)
        return self._create(run_id)

    def release(self, run_id: str) -> None:
        """Give the run back, if it is ours or its owner is dead."""
        self._remove_unless(
            run_id, lambda i: self._is_alive(i) and read_json(self._path(i)) != _me()
        )

    def touch(self, run_id: str) -> None:
        """Show owners on other hosts that we live."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self._path(run_id))

    def owner(self, run_id: str) -> dict[str, Any] | None:
        """Return host and pid of the live owner of the run, or None."""
        return read_json(self._path(run_id)) if self._is_alive(run_id) else None

    def _path(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.json"

    def _remove_unless(self, run_id: str, is_kept: Callable[[str], bool]) -> None:
        """Remove the file that is there now; one that appears meanwhile is somebody's new one."""
        if not self._path(run_id).exists():
            return
        with self._mutex():
            if self._path(run_id).exists() and not is_kept(run_id):
                self._path(run_id).unlink(missing_ok=True)

    def _create(self, run_id: str) -> bool:
        beside = self.folder / f".{run_id}.{uuid.uuid4().hex[:8]}"
        beside.write_text(json.dumps(_me()))
        try:
            os.link(beside, self._path(run_id))
            return True
        except FileExistsError:
            return False
        finally:
            beside.unlink(missing_ok=True)

    def _is_alive(self, run_id: str) -> bool:
        owner = read_json(self._path(run_id))
        if not isinstance(owner, dict):
            return False
        if owner.get("host") != host():
            try:
                return time.time() - self._path(run_id).stat().st_mtime < STALE_AFTER_S
            except FileNotFoundError:
                return False
        start = owner.get("start")
        return start is not None and process_start(owner.get("pid")) == start

    @contextlib.contextmanager
    def _mutex(self) -> Iterator[None]:
        with open(self.folder / ".mutex", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def process_start(pid: Any) -> str | None:
    """Return when the process started (clock ticks since boot), None if there is none.

    With the pid it names a process for good, although pids are used again. A zombie is dead.
    """
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return None if after_name[0] == "Z" else after_name[19]


def host() -> str:
    """Return the host's name and boot, so that a pid from before a reboot is not believed."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()}/{boot}"


def _me() -> dict[str, Any]:
    return {"host": host(), "pid": os.getpid(), "start": process_start(os.getpid())}
