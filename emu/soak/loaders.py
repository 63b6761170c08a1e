"""Loaders that come and are killed at random moments, and what each held in the kernel."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from emu.datapath import machine, registry
from emu.datapath.leftovers import Held, held_by, still_there
from experiments.paths import ROOT

RULES = ("gentle", "symbolic", "symbolic_branched")
NAMES = tuple(f"tri_s{slot}" for slot in range(4))
PATIENCE_S = 5.0
_FOLDER = ROOT / "policies" / "congestion" / "rules"
_LONGEST_S = 2.0
_LOADING_S = 60.0
_ENDS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)


def once(draws: random.Random, environment: dict[str, str]) -> list[str]:
    """Start a process that loads a datapath, kill it at a random moment, tell what it left.

    Args:
        draws: of name, rule, moment and signal.
        environment: of the process.

    Returns:
        A line for each thing that outlives it; none where all is well.
    """
    name, rule = draws.choice(NAMES), draws.choice(RULES)
    command = [sys.executable, "-m", "emu.datapath.holder", str(_FOLDER / f"{rule}.rule"), name]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=nowhere, stderr=nowhere
    ) as process:
        time.sleep(draws.uniform(0.0, _LONGEST_S))
        held = stopped_with(process.pid)
        process.send_signal(draws.choice(_ENDS))
        process.send_signal(signal.SIGCONT)
        left = [] if _ended(process) else [f"loader {name} that did not end on SIGTERM"]
    left += [
        f"{kind} {number} of a killed loader"
        for kind, number in sorted(still_there(held, PATIENCE_S))
    ]
    if not vanished(name):
        left.append(f"registration {name} of a killed loader")
    return left


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Wait for the end of a process that was told to end; it may load to the end first."""
    try:
        process.wait(_LOADING_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return False
    return True


def stopped_with(pid: int) -> set[Held]:
    """Stop a process and return what it holds then, for good: it can load no more meanwhile."""
    try:
        os.kill(pid, signal.SIGSTOP)
    except ProcessLookupError:
        return set()
    deadline = time.monotonic() + PATIENCE_S
    while _state(pid) not in "TtZX" and time.monotonic() < deadline:
        time.sleep(0.001)
    return held_by(pid)


def vanished(name: str) -> bool:
    """Return whether the kernel has no such congestion control, now or soon."""
    end = time.monotonic() + PATIENCE_S
    while name in machine.available() and time.monotonic() < end:
        time.sleep(0.01)
    return name not in machine.available()


def files_left() -> list[str]:
    """Clear the entries of killed loaders away; return what cannot be cleared."""
    registry.reap()
    return [f"entry {entry.name}" for entry in registry.entries() if entry.name in NAMES]


def _state(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "X"
    return text.rpartition(")")[2].split()[0]
