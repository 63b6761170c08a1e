"""Where a result comes from: commit, versions, host, time and memory."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import platform
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from experiments.paths import ROOT

LIBRARIES = ("numpy", "numba", "scipy", "pandas", "pyarrow", "pydantic", "simpy", "torch")


@functools.cache
def source() -> dict[str, Any]:
    """Return what is the same for all runs of a session: the code and the command."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": _dirty_hash(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]][:20],
    }


@functools.cache
def machine() -> dict[str, Any]:
    """Return what is the same for all runs of a process: versions and host."""
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "host": {
            "name": socket.gethostname(),
            "system": f"{platform.system()} {platform.release()}",
            "cpu": _cpu_model(),
            "cores": len(os.sched_getaffinity(0)),
        },
    }


def reset_peak_memory() -> None:
    """Start a new count of this process's peak resident memory, where the kernel allows it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def peak_memory_bytes() -> int:
    """Return the peak resident memory since the last reset, 0 where it cannot be known."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(ln.split()[1]) * 1024 for ln in lines if ln.startswith("VmHWM:")), 0)


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip()


def _dirty_hash() -> str | None:
    """Return a hash of the uncommitted changes to tracked files, None if there are none."""
    changes = _git("diff", "HEAD")
    return hashlib.sha256(changes.encode()).hexdigest()[:16] if changes else None


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((ln.split(":", 1)[1].strip() for ln in lines if ln.startswith("model name")), "")
