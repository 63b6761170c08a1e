"""Where public traces are published, and where they are looked for on this machine.

The project ships readers, never the files. They are looked for under `$TRIPTYCH_DATA`, else
under `data/` of the checkout.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from policies.registry import UnknownNameError
from serving.traces import azure, burstgpt, jsonl, mooncake, vidur
from serving.traces.base import Trace, TraceError

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Entry:
    """One public trace.

    Attributes:
        name: as a manifest writes it.
        load: its reader.
        path: relative to the data folder.
        published: repository and commit.
        licence: of the data.
        sha256: of the file that the project was tested with.
        requests: in that file, or None where it was not at hand to be counted.
        block_tokens: the trace's own block size, or the usual 16.
        has_standin: whether `serving.standins` can stand in for it.
    """

    name: str
    load: Callable[[Path], Trace]
    path: str
    published: str
    licence: str
    sha256: str
    requests: int | None
    block_tokens: int = 16
    has_standin: bool = True


_TABLE = (
    Entry(
        "mooncake-conversation",
        mooncake.load,
        "traces/mooncake_fast25/conversation_trace.jsonl",
        "github.com/kvcache-ai/Mooncake 3b5a5941, FAST25-release/traces",
        "Apache-2.0",
        "b8cbb061a85206d729d91cdc2981f43c9e0d99209dce588d3af5f7934408b9df",
        12_031,
        mooncake.HASH_TOKENS,
    ),
    Entry(
        "azure-code-2023",
        azure.load,
        "traces/azure_llm_2023/AzureLLMInferenceTrace_code.csv",
        "github.com/Azure/AzurePublicDataset b469a113, data",
        "CC-BY-4.0",
        "54e9a6d2a4bd06ba1e060304b900abbc74cbea53de96506e60fe5bb4f2277fb6",
        8_819,
    ),
    Entry(
        "arxiv-summarisation",
        vidur.load,
        "traces/vidur_processed/arxiv_summarization_stats_llama2_tokenizer_filtered_v2.csv",
        "github.com/microsoft/vidur 7d475133, data/processed_traces",
        "MIT",
        "9d3580538d915ca75e4aaaa54590b42dbb17abc6d74c8913310cf07c232adcdc",
        28_257,
    ),
    Entry(
        "sharegpt-300",
        jsonl.load,
        "traces/llmservingsim/sharegpt-llama-3.1-8b-300-sps10.jsonl",
        "github.com/casys-kaist/LLMServingSim 5daddb21",
        "MIT",
        "05e48b32da530d4a3dd77f3d47c6fe694ac8308d611aa088e38bb10fba2b3b3a",
        300,
        has_standin=False,
    ),
    Entry(
        "burstgpt-1",
        burstgpt.load,
        "traces/burstgpt/BurstGPT_1.csv",
        "github.com/HPMLL/BurstGPT 5d93d820, data (Git LFS)",
        "CC-BY-4.0",
        "4bb3783693d0a435686fbfc885615d2349bd067239079fa4b749f2e679e12122",
        None,  # 1,429.7 thousand with the failed ones, says its publisher
        has_standin=False,
    ),
)
READERS = {
    "jsonl": jsonl.load,
    "mooncake": mooncake.load,
    "azure": azure.load,
    "vidur": vidur.load,
    "burstgpt": burstgpt.load,
}
"""Formats that a file of the user's own may have."""
TRACES = {entry.name: entry for entry in _TABLE}


def entry_named(name: str) -> Entry:
    """Return the catalogue's entry.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in TRACES:
        raise UnknownNameError("trace", name, TRACES)
    return TRACES[name]


def data_folder() -> Path:
    """Return the folder of external data, whether or not it exists."""
    return Path(os.environ.get("TRIPTYCH_DATA") or CHECKOUT / "data")


def locate(name: str) -> Path | None:
    """Return the trace's file, or None if it is not on this machine."""
    path = data_folder() / entry_named(name).path
    return path if path.is_file() else None


def missing_message(name: str) -> str:
    """Return where to get the trace and where to put it."""
    entry = entry_named(name)
    place = data_folder() / entry.path
    return f"trace {name!r} is absent: put {entry.published} ({entry.licence}) at {place}"


@functools.lru_cache(maxsize=16)
def _digest(path: Path, _mtime_ns: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(path: Path) -> str:
    """Return the SHA-256 of a file; remembered until the file changes."""
    stat = path.stat()
    return _digest(path, stat.st_mtime_ns, stat.st_size)


def load_file(path: Path, load: Callable[[Path], Trace], sha256: str | None = None) -> Trace:
    """Read a file by one of `READERS`.

    Raises:
        TraceError: absent, malformed, or not the file with that `sha256`.
    """
    if not path.is_file():
        raise TraceError(path, None, None, "there is no such file")
    if sha256 is not None and digest(path) != sha256:
        raise TraceError(path, None, None, "has changed: its SHA-256 is not that of this run")
    return load(path)


def load_trace(name: str, sha256: str | None = None) -> Trace:
    """Read the trace `name`.

    Raises:
        TraceError: absent, malformed, or not the file with that `sha256`.
    """
    path = locate(name)
    if path is None:
        raise TraceError(data_folder() / entry_named(name).path, None, None, missing_message(name))
    return load_file(path, entry_named(name).load, sha256)
