"""The relay's program, compiled once per content of its sources and version of the compiler."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from emu.problems import EmulationError
from experiments.paths import cache_root
from experiments.setup.programs import ProgramError, run_program

SOURCES = Path(__file__).resolve().parent
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror")
TIMEOUT_S = 60.0


def program() -> Path:
    """Return the compiled relay, compiling it if this content was not compiled before.

    Raises:
        EmulationError: there is no compiler, or it refuses.
    """
    sources = [*sorted(SOURCES.glob("*.c")), *sorted(SOURCES.glob("*.h"))]
    try:
        version = run_program(["gcc", "--version"], timeout_s=TIMEOUT_S).stdout.partition("\n")[0]
        content = b"\0".join([path.name.encode() + b"\0" + path.read_bytes() for path in sources])
        key = hashlib.sha256(content + repr((version, FLAGS)).encode()).hexdigest()[:32]
        made = cache_root() / "emu" / f"relay-{key}"
        if not os.access(made, os.X_OK):
            _compile([path for path in sources if path.suffix == ".c"], made)
    except (ProgramError, OSError) as error:
        raise EmulationError(f"cannot compile the link relay: {error}") from None
    return made


def _compile(sources: list[Path], target: Path) -> None:
    """Compile beside the target and rename, so that nobody meets half a program."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=target.parent, prefix=".making-"))
    try:
        run_program(
            ["gcc", *FLAGS, *map(str, sources), "-o", str(folder / "relay")], timeout_s=TIMEOUT_S
        )
        os.replace(folder / "relay", target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
