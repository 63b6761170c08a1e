"""Where measured profiles and recorded runs are published, and where they are looked for.

Like `serving.traces.catalog`: the project ships readers, never the files. A manifest names an
entry, or a path of its own, absolute or below the data folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serving.profiles.files import Kind, complete, digest_of, files_of
from serving.traces.base import TraceError
from serving.traces.catalog import data_folder


@dataclass(frozen=True)
class Entry:
    """One public profile or run.

    Attributes:
        name: as a manifest writes it.
        kind: which reader it is for.
        path: relative to the data folder.
        published: repository and commit.
        licence: of the data.
        sha256: as `digest_of` gives it, of what the project was tested with.
        gpu: hardware entry that it was measured on.
        model: shape of the language model.
    """

    name: str
    kind: Kind
    path: str
    published: str
    licence: str
    sha256: str
    gpu: str
    model: str


_VIDUR = "github.com/microsoft/vidur 7d475133, data/profiling/compute/a100"
_SIM = "github.com/casys-kaist/LLMServingSim 5daddb21"
_TABLE = (
    Entry(
        "vidur-a100-llama-3-8b",
        "dense",
        "traces/vidur_profiling/a100_Meta-Llama-3-8B_mlp.csv",
        _VIDUR,
        "MIT",
        "98c26488298e324e89db7349e213f75c856ae83dc6b17548a68636d2cb5efff0",
        "a100-80",
        "llama-3-8b",
    ),
    Entry(
        "vidur-a100-llama-3-70b",
        "dense",
        "traces/vidur_profiling/a100_Meta-Llama-3-70B_mlp.csv",
        _VIDUR,
        "MIT",
        "6929c6f4afae67f7d91a7938ebdb350a47923b077a1b1c2a4e1911f5ec9e601f",
        "a100-80",
        "llama-3-70b",
    ),
    Entry(
        "llmservingsim-rtx4090",
        "kernels",
        "traces/llmservingsim/profiles/RTX4090",
        _SIM,
        "MIT",
        "1a40def167fb82db7441429191ed14008dda31d997b375ad932a73847ba4bb88",
        "rtx4090",
        "llama-3-8b",
    ),
    Entry(
        "vllm-rtx4090",
        "run",
        "traces/llmservingsim/vllm_runs/RTX4090/Llama-3.1-8B",
        _SIM,
        "MIT",
        "d5ffa5c98642ded59311487be195d42b6b174c5f3a8e0d45a38cf80531dbda1d",
        "rtx4090",
        "llama-3-8b",
    ),
)
PROFILES = {entry.name: entry for entry in _TABLE}


def place_of(name: str) -> Path:
    """Return where a named entry, or a path, is looked for."""
    return data_folder() / (PROFILES[name].path if name in PROFILES else name)


def locate(name: str, kind: Kind) -> Path | None:
    """Return the place of a named entry or of a path; None for an entry that is absent.

    Raises:
        TraceError: it is neither an entry nor a path that exists, is an entry of another kind, or
            lacks a file.
    """
    path = place_of(name)
    if name in PROFILES:
        if PROFILES[name].kind != kind:
            raise TraceError(path, None, None, f"{name!r} is of kind {PROFILES[name].kind!r}")
        return path if complete(kind, path) else None
    if not path.exists():
        message = f"does not exist; names in the catalogue are {', '.join(PROFILES)}"
        raise TraceError(path, None, None, message)
    for file in files_of(kind, path):
        if not file.is_file():
            raise TraceError(file, None, None, "is missing")
    return path


def missing_message(name: str) -> str:
    """Return where to get the entry and where to put it."""
    entry = PROFILES[name]
    source = f"{entry.published} ({entry.licence})"
    return f"data {name!r}: put {source} at {place_of(name)}"


def located(name: str, kind: Kind, sha256: str | None = None) -> Path:
    """Return the place of a profile or run that is there.

    Raises:
        TraceError: it is absent, or not what has that `sha256`.
    """
    path = locate(name, kind)
    if path is None:
        raise TraceError(place_of(name), None, None, missing_message(name))
    if sha256 is not None and digest_of(kind, path) != sha256:
        raise TraceError(path, None, None, "has changed: its SHA-256 is not that of this run")
    return path
