"""Files that ship with controllers: where they lie, and the commands that make them.

Naming them loads nothing; who runs a controller reads its files.
"""

from __future__ import annotations

from pathlib import Path

RULES, WEIGHTS = (Path(__file__).resolve().parent / name for name in ("rules", "weights"))
DISTILLING = "python -m policies.distill.distil_command"
BRANCHING = f"{DISTILLING} branched --specialists"
TRAINING = "python -m policies.distill.train_specialists"


def made(path: Path, command: str) -> Path:
    """Return the path of a file that a command makes, if it is there.

    Raises:
        FileNotFoundError: it is not; the message names the command.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: is not there; make it with `{command}`")
    return path
