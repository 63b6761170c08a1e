"""Which datapaths are loaded by whom: one small file each, and a process that holds it.

A datapath lives as long as the process that holds it: the kernel sees to that. The file tells the
name, the process and when that started, so that a number given anew to another process is no
mistake. Files whose process is gone are stale; `reap` removes them. Registrations that others
made have no file here and are never touched.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from emu.datapath.problems import DatapathError
from emu.datapath.settings import check_name

_END_S = 5.0


@dataclass(frozen=True)
class Entry:
    """One loaded datapath.

    Attributes:
        name: what sockets ask for.
        pid: the process that holds it.
        started: when that process started, clock ticks since boot.
        what: rule or controller that decides.
        since: when it was loaded, s since the epoch.
    """

    name: str
    pid: int
    started: int
    what: str
    since: float

    @property
    def lives(self) -> bool:
        """Return whether its process is still there."""
        return start_of(self.pid) == self.started


def state_root() -> Path:
    """Return the folder of entries: of the machine, as the kernel's names are."""
    return Path(os.environ.get("TRIPTYCH_RUN") or "/run/triptych") / "datapath"


def start_of(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; None if it is gone or a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        fields = text.rpartition(")")[2].split()  # the name may hold blanks and brackets
        return None if fields[0] in "ZX" else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def enter(name: str, what: str) -> Entry:
    """Write the entry of a datapath that this process holds.

    Raises:
        OSError: it cannot be written.
    """
    entry = Entry(name, os.getpid(), start_of(os.getpid()) or 0, what, time.time())
    path = _path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(asdict(entry)), encoding="utf-8")
    partial.replace(path)
    return entry


def leave(entry: Entry) -> None:
    """Remove an entry, if it has not been replaced by another's."""
    if _read(_path(entry.name)) == entry:
        _path(entry.name).unlink(missing_ok=True)


def entries() -> list[Entry]:
    """Return all entries, by name; files that are none are left out."""
    found = (_read(path) for path in sorted(state_root().glob("*.json")))
    return [entry for entry in found if entry is not None]


def reap() -> list[str]:
    """Remove what ended processes left; return the names."""
    stale = [entry for entry in entries() if not entry.lives]
    for entry in stale:
        leave(entry)
    for path in state_root().glob("*.*"):
        owner = path.suffix[1:]
        if owner.isdigit() and start_of(int(owner)) is None:
            path.unlink(missing_ok=True)  # half-written
        elif path.suffix == ".json" and _read(path) is None:
            path.unlink(missing_ok=True)
    return [entry.name for entry in stale]


def end(name: str) -> None:
    """End the process that holds a datapath, and with it the registration.

    Raises:
        DatapathError: no datapath of ours has that name, or its process does not end.
    """
    check_name(name)
    entry = _read(_path(name))
    if entry is None or not entry.lives:
        reap()
        known = ", ".join(entry.name for entry in entries()) or "none"
        raise DatapathError(f"no datapath {name!r} is loaded by triptych (loaded: {known})")
    try:
        process = os.pidfd_open(entry.pid)
    except ProcessLookupError:
        return leave(entry)
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if entry.lives:
                signal.pidfd_send_signal(process, number)
            if select.select([process], [], [], _END_S)[0]:
                return leave(entry)
    except ProcessLookupError:
        return leave(entry)
    finally:
        os.close(process)
    raise DatapathError(f"process {entry.pid}, which holds {name!r}, does not end; look at it")


def _path(name: str) -> Path:
    return state_root() / f"{name}.json"


def _read(path: Path) -> Entry | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        entry = Entry(
            str(kept["name"]),
            int(kept["pid"]),
            int(kept["started"]),
            str(kept["what"]),
            float(kept["since"]),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return entry if entry.name == path.stem and entry.pid > 0 else None
