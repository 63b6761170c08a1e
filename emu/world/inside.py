"""The first process of a private world: `python -m emu.world.inside`, started by `launch`.

It reads one JSON line (entry, request) and writes JSON lines: notes, then a value or a problem.
Programs that it starts write to standard error, never between those lines.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import IO, Any

from emu.problems import EmulationError
from experiments.paths import cache_root
from experiments.setup.programs import ProgramError, run_program
from sim.net.problems import ScenarioError


def folder() -> Path:
    """Return the world's folder for files: in memory, seen from inside only, gone at its end."""
    return cache_root() / "emu" / "world"


def _furnish() -> None:
    """Bring up the loopback interface and mount the folder."""
    folder().mkdir(parents=True, exist_ok=True)
    run_program(["mount", "-t", "tmpfs", "triptych", str(folder())], timeout_s=10)
    run_program(["ip", "link", "set", "lo", "up"], timeout_s=10)


def _own_stdout() -> IO[str]:
    """Return standard output for our lines alone; what else is printed goes to standard error."""
    mine = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(mine, "w", encoding="utf-8")


def main() -> int:
    """Carry out the one request; return the exit code."""
    out = _own_stdout()

    def say(kind: str, **fields: Any) -> None:
        out.write(json.dumps({"kind": kind, **fields}) + "\n")
        out.flush()

    asked = json.loads(sys.stdin.readline() or "null")
    if asked is None:
        return 1  # whoever started us is gone
    module, _, function = asked["entry"].partition(":")
    try:
        _furnish()
        entry = getattr(importlib.import_module(module), function)
        value = entry(asked["request"], lambda value: say("note", value=value))
    except (EmulationError, ProgramError, ScenarioError) as error:
        say("problem", message=str(error))
        return 1
    say("value", value=value)
    return 0


if __name__ == "__main__":
    sys.exit(main())
