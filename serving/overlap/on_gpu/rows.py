"""Files of measurements: JSON lines that a kill cannot damage, gone on with by a later call."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VERSION = 1
SAME = ("device", "torch", "dry")
"""What all rows of a file share."""


def rows_of(path: Path, kind: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file, none if it is absent; a last line cut short is left out.

    Args:
        path: the file.
        kind: its format, "triptych-overlap" or "triptych-gpu-engine".

    Raises:
        ValueError: a line is no row of that format.
    """
    if not path.exists():
        return
    for number, line in enumerate(path.read_text("utf-8").splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            return
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict) or (row.get("format"), row.get("version")) != (kind, VERSION):
            raise ValueError(
                f"{path}, line {number}: no row of {kind} {VERSION}; give another file"
            )
        yield row


def rows_of_this(path: Path, kind: str, about: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a file that this machine goes on with.

    Raises:
        ValueError: it is damaged, or of another machine.
    """
    rows = list(rows_of(path, kind))
    for row in rows:
        for name in SAME:
            if row.get(name) != about[name]:
                told = f"{name} = {row.get(name)!r}, here it is {about[name]!r}"
                raise ValueError(f"{path} has {told}; give another --out")
    return rows


def append(path: Path, row: dict[str, Any]) -> None:
    """Append one row; what a kill left of a line before it goes.

    Raises:
        ValueError: a number is not finite.
        OSError: the file cannot be written.
    """
    text = json.dumps(row, allow_nan=False).encode() + b"\n"
    whole = path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0
    with open(path, "r+b" if path.exists() else "wb") as file:
        file.truncate(whole)
        file.seek(whole)
        file.write(text)


def about_gpu(torch: Any) -> dict[str, Any]:
    """Return device, driver and versions."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        told = ""
    driver = (told.splitlines() or ["unknown"])[0].strip()
    about = {"device": torch.cuda.get_device_name(), "driver": driver, "dry": False}
    return about | {"torch": str(torch.__version__), "cuda": torch.version.cuda}


def about_dry(torch: Any) -> dict[str, Any]:
    """Return the same of a dry run, whose times mean nothing."""
    about = {"device": "cpu", "driver": "", "dry": True}
    return about | {"torch": str(torch.__version__), "cuda": None}
