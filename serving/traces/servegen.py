"""ServeGen's clients: distributions of lengths per window of the day, and rates of arrival.

A folder holds `chunk-<i>-dataset.json` and `chunk-<i>-trace.csv` per client i. The first maps the
start of a window in seconds to `input_tokens` and `output_tokens`, each a text
`{tokens: probability, ...}` (empty where the client was silent). The second has rows
`start_s,requests_per_s,...` every 600 s; what follows describes the process of arrival and is
not read, since an offline pool is there at once.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from serving.traces.base import TraceError, count, read_rows

if TYPE_CHECKING:  # the catalogue must not load numba
    from serving.pool import Workload

SLOT_S = 600.0
MAX_CLIENTS = 10_000
MAX_DATASET_BYTES = 64_000_000
_DATASET = re.compile(r"chunk-([0-9]{1,6})-dataset\.json")
_ITEM = re.compile(r"\s*([0-9]{1,8})\s*:\s*([0-9.eE+-]{1,40})\s*")


@dataclass(frozen=True, eq=False)
class Pmf:
    """Probabilities of token counts: int64[k] and float64[k], which sums to 1."""

    tokens: NDArray[np.int64]
    probability: NDArray[np.float64]

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw n counts."""
        return rng.choice(self.tokens, n, p=self.probability)


@dataclass(frozen=True, eq=False)
class Window:
    """One client's requests in one part of the day; `requests` is their expected number."""

    requests: float
    prompt: Pmf
    output: Pmf


def load(folder: Path) -> tuple[Window, ...]:
    """Return the windows in which any client sent anything.

    Raises:
        TraceError: no such folder, no client in it, or a file is malformed.
    """
    if not folder.is_dir():
        raise TraceError(folder, None, None, "is not a folder")
    chunks = sorted(int(m[1]) for p in folder.iterdir() if (m := _DATASET.fullmatch(p.name)))
    if not chunks or len(chunks) > MAX_CLIENTS:
        message = f"holds {len(chunks)} files chunk-<i>-dataset.json, not 1 to {MAX_CLIENTS}"
        raise TraceError(folder, None, None, message)
    windows = [window for chunk in chunks for window in _client(folder, chunk)]
    if not windows:
        raise TraceError(folder, None, None, "no client sent anything")
    return tuple(windows)


def draw_pool(
    windows: tuple[Window, ...],
    requests: int,
    block_tokens: int,
    origin: str,
    rng: np.random.Generator,
) -> Workload:
    """Draw a pool without shared prefixes, in random order.

    Windows take part in proportion to their requests; prompt and output of a request are drawn
    independently, as the distributions are given apart.
    """
    from serving.pool import RequestPool, Workload

    weights = np.array([window.requests for window in windows])
    sizes = rng.multinomial(requests, weights / weights.sum())
    parts = list(zip(windows, sizes.tolist(), strict=True))
    prompt = np.concatenate([window.prompt.draw(n, rng) for window, n in parts])
    output = np.concatenate([window.output.draw(n, rng) for window, n in parts])
    mixed = rng.permutation(requests)
    prompt = prompt[mixed]
    hashes = np.arange((prompt // block_tokens).sum())
    return Workload.of(RequestPool.from_hashes(prompt, hashes, block_tokens), output[mixed], origin)


def _client(folder: Path, chunk: int) -> list[Window]:
    rates = _rates(folder / f"chunk-{chunk}-trace.csv")
    path = folder / f"chunk-{chunk}-dataset.json"
    table = _object(path)
    starts = sorted((_start(path, name), name) for name in table)
    ends = [start for start, _ in starts[1:]] + [math.inf]
    windows = []
    for (start, name), end in zip(starts, ends, strict=True):
        entry = table[name]
        if not isinstance(entry, dict):
            raise TraceError(path, None, name, "is no JSON object")
        prompt, output = (_pmf(path, name, entry, f) for f in ("input_tokens", "output_tokens"))
        sent = SLOT_S * sum(rate for time, rate in rates if start <= time < end)
        if prompt is not None and output is not None and sent > 0:
            windows.append(Window(sent, prompt, output))
    return windows


def _object(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_DATASET_BYTES:
        raise TraceError(path, None, None, f"is larger than {MAX_DATASET_BYTES} bytes")
    text = "\n".join(line for _, line in read_rows(path))
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise TraceError(path, None, None, "is no JSON; is the file cut off?") from None
    if not isinstance(value, dict):
        raise TraceError(path, None, None, "is no JSON object")
    return value


def _start(path: Path, name: str) -> int:
    if not (name.isascii() and name.isdigit() and len(name) <= 9):
        raise TraceError(path, None, name[:40], "is no window's start in whole seconds")
    return int(name)


def _pmf(path: Path, window: str, entry: dict[str, Any], field: str) -> Pmf | None:
    """Return the distribution, or None if the client was silent."""
    place, text = f"{window}.{field}", entry.get(field)
    if not isinstance(text, str) or not (text.startswith("{") and text.endswith("}")):
        raise TraceError(path, None, place, "is no text like {tokens: probability, ...}")
    if not text[1:-1].strip():
        return None
    tokens, weights = [], []
    for item in text[1:-1].split(","):
        found = _ITEM.fullmatch(item)
        if found is None:
            raise TraceError(path, None, place, f"{item[:40]!r} is no `tokens: probability`")
        tokens.append(count(path, 1, place, found[1]))
        weights.append(_weight(path, place, found[2]))
    if len(set(tokens)) < len(tokens):
        raise TraceError(path, None, place, "names a number of tokens twice")
    total = math.fsum(weights)
    if abs(total - 1) > 0.01:
        raise TraceError(path, None, place, f"probabilities add up to {total:.4g}, not to 1")
    return Pmf(np.array(tokens, np.int64), np.array(weights) / total)


def _weight(path: Path, place: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 <= weight <= 1:
        raise TraceError(path, None, place, f"{text[:40]!r} is no probability from 0 to 1")
    return weight


def _rates(path: Path) -> list[tuple[float, float]]:
    """Return (start_s, requests/s) of each row."""
    found: list[tuple[float, float]] = []
    for row, text in read_rows(path):
        fields = text.split(",")
        if len(fields) < 2:
            raise TraceError(path, row, None, "has fewer than 2 fields; is it cut off?")
        try:
            start, rate = float(fields[0]), float(fields[1])
        except ValueError:
            start, rate = math.nan, math.nan
        if not (0 <= start < 1e12 and 0 <= rate < 1e6):
            message = f"{text[:40]!r} does not begin with a time and a rate, both >= 0"
            raise TraceError(path, row, None, message)
        found.append((start, rate))
    return found
