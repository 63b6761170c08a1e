"""Which files make up a profile or a recorded run, and one digest for all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from serving.traces.catalog import digest

Kind = Literal["dense", "kernels", "run"]


def _dense(path: Path) -> list[Path]:
    """Vidur's CSV is one file."""
    return [path]


def _kernels(folder: Path) -> list[Path]:
    """LLMServingSim's profiler keeps `meta.yaml` beside the tables or one level up."""
    own, above = folder / "meta.yaml", folder.parent / "meta.yaml"
    meta = above if above.is_file() and not own.is_file() else own
    return [*(folder / f"{name}.csv" for name in ("dense", "per_sequence", "attention")), meta]


def _run(folder: Path) -> list[Path]:
    """A run of LLMServingSim's benchmark."""
    return [folder / name for name in ("meta.json", "requests.jsonl", "timeseries.csv")]


_FILES: dict[Kind, Callable[[Path], list[Path]]] = {
    "dense": _dense,
    "kernels": _kernels,
    "run": _run,
}


def files_of(kind: Kind, path: Path) -> list[Path]:
    """Return the files that the reader of that kind opens, whether or not they exist."""
    return _FILES[kind](path)


def complete(kind: Kind, path: Path) -> bool:
    """Return whether all of them are there."""
    return all(file.is_file() for file in files_of(kind, path))


def digest_of(kind: Kind, path: Path) -> str:
    """Return the SHA-256 over the digests of the files, in order; of a single file, its own."""
    digests = [digest(file) for file in files_of(kind, path)]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()
