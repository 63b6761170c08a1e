"""What nothing here may change outside private worlds, and which processes are left."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from experiments.setup.programs import run_program

_SETTINGS = Path("/proc/sys")
_WATCHED = ("net", "kernel/bpf_stats_enabled", "kernel/sched_rt_runtime_us", "vm/overcommit_memory")
_VOLATILE = ("tcp_available_congestion_control", "nf_conntrack_count")
"""Others may load a congestion control, or open connections, at any time."""
_TIMEOUT_S = 20.0
_PERIOD_S = 0.05


def state() -> dict[str, str]:
    """Return what is to stay as it is: name -> value, settings by their path.

    Raises:
        ProgramError: ip or tc is not there.
    """
    found = {
        "interfaces": run_program(["ip", "-o", "link"], timeout_s=_TIMEOUT_S).stdout,
        "queueing": run_program(["tc", "qdisc", "show"], timeout_s=_TIMEOUT_S).stdout,
        "mounts": Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace"),
        "named namespaces": "\n".join(_names(Path("/run/netns"))),
    }
    for watched in _WATCHED:
        top = _SETTINGS / watched
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.name not in _VOLATILE and (text := _content(path)) is not None:
                found[str(path.relative_to(_SETTINGS))] = text
    return found


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return what is not as it was, a line each."""
    names = sorted(before.keys() | after.keys())
    return [
        f"{name}: was {before.get(name)!r}, is {after.get(name)!r}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def marked(marker: str, patience_s: float = 0.0) -> list[str]:
    """Return command lines of processes with `marker` in their environment, none or after a while.

    Processes inherit it, so these are all that descend from one that was given it; this one is
    left out.
    """
    end = time.monotonic() + patience_s
    while (found := _marked(marker)) and time.monotonic() < end:
        time.sleep(_PERIOD_S)
    return found


def pids_of(marker: str) -> list[int]:
    """Return the numbers of such processes."""
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _has(folder, marker)]


def _marked(marker: str) -> list[str]:
    found = []
    for pid in pids_of(marker):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        found.append(words.replace(b"\0", b" ").decode(errors="replace").strip())
    return found


def _has(folder: Path, marker: str) -> bool:
    if folder.name == str(os.getpid()):
        return False
    try:
        return marker.encode() in (folder / "environ").read_bytes()
    except OSError:  # ended just now, or a zombie
        return False


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _content(path: Path) -> str | None:
    """Return a setting's text; None where it is a folder or cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
