"""Files of measurements from a GPU: where they lie, their digest, and what to do without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.paths import data_root
from serving.traces.catalog import digest

DEVICE = Path("/dev/nvidiactl")
"""There wherever a driver for NVIDIA's GPUs is loaded."""


def place_of(file: str) -> Path:
    """Return where a file is looked for: a path of its own, or below the data folder."""
    return data_root() / file


def with_digest(config: dict[str, Any]) -> dict[str, Any]:
    """Fill in the digest of the file, if it is there; a digest that is given must be its own.

    Raises:
        ValueError: the file is another one than that of the digest.
    """
    path, wanted = place_of(config["file"]), config["sha256"]
    found = digest(path) if path.is_file() else wanted
    if wanted not in (None, found):
        raise ValueError(f"sha256: {path} has another digest; leave it out to read this file")
    return {**config, "sha256": found}


def lacking(config: dict[str, Any], command: str) -> tuple[str, ...]:
    """Return what keeps a run of this configuration from starting: no file, and no GPU either."""
    path = place_of(config["file"])
    if path.is_file():
        return ()
    message = f"measurement {path}: on a machine with a GPU, python -m on_gpu {command} writes it"
    return (message,) if DEVICE.exists() else ("gpu", message)


def located(config: dict[str, Any]) -> Path:
    """Return the file of a run.

    Raises:
        ValueError: it is absent, or has changed since the run was planned.
    """
    path = place_of(config["file"])
    if not path.is_file():
        raise ValueError(f"file: {path} does not exist")
    if digest(path) != config["sha256"]:
        raise ValueError(f"file: {path} has changed: its SHA-256 is not that of this run")
    return path
