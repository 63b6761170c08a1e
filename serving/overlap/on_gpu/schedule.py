"""A schedule: which tokens of which request every batch step computes, as JSON lines.

    {"format": "triptych-schedule", "version": 1, "order", "model", "block_tokens", "kv_blocks",
     "tokens"}
    {"prompt": 700, "output": 20, "blocks": [0, 1, ...]}            one line a request
    {"prefill": [[request, tokens, before], ...], "decode": [[request, context], ...],
     "left": [request, ...], "compute_ns": 700, "memory_ns": 300}   one line a step

`blocks` are the identities of the full blocks of the prompt: equal ones hold equal tokens and are
kept once. `before` tokens of a request lie in the KV cache when the step begins, a decode's
`context` counts its new token. `left`: requests whose KV is let go before the step's work,
because they were preempted or had finished. The times are simulated: of the step's compute-bound
and of its memory-bound part.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT, VERSION = "triptych-schedule", 1


@dataclass(frozen=True)
class Request:
    """Prompt and output tokens of a request, and the identities of its prompt's full blocks."""

    prompt: int
    output: int
    blocks: tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One batch step; see the module."""

    prefill: tuple[tuple[int, int, int], ...]
    decode: tuple[tuple[int, int], ...]
    left: tuple[int, ...]
    compute_ns: int
    memory_ns: int

    @property
    def tokens(self) -> int:
        """Tokens that the step computes."""
        return len(self.decode) + sum(tokens for _, tokens, _ in self.prefill)

    @property
    def kv_tokens(self) -> int:
        """KV tokens that decoding reads."""
        return sum(context for _, context in self.decode)


@dataclass(frozen=True)
class Schedule:
    """A schedule; `tokens` are those of all prompts and outputs, cached ones counted."""

    order: str
    model: str
    block_tokens: int
    kv_blocks: int
    tokens: int
    requests: tuple[Request, ...]
    steps: tuple[Step, ...]


def read_schedule(path: Path) -> Schedule:
    """Read a schedule.

    Raises:
        ValueError: it is none; the message names the line and what is wrong.
        OSError: it cannot be read.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise ValueError(f"{path}, line {number}: no JSON object")
        rows.append(row)
    head = rows[0] if rows else {}
    if (head.get("format"), head.get("version")) != (FORMAT, VERSION):
        raise ValueError(f"{path}: no {FORMAT} {VERSION}; serving.overlap.schedules writes them")
    requests, steps = [], []
    for number, row in enumerate(rows[1:], 2):
        try:
            if "prompt" in row:
                requests.append(_request(row))
            else:
                steps.append(_step(row))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path}, line {number}: damaged: {error!r}") from None
    try:
        block, blocks, tokens = (int(head[n]) for n in ("block_tokens", "kv_blocks", "tokens"))
        names = str(head["order"]), str(head["model"])
        found = Schedule(*names, block, blocks, tokens, tuple(requests), tuple(steps))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}, line 1: damaged: {error!r}") from None
    _check(path, found)
    return found


def _request(row: dict[str, Any]) -> Request:
    return Request(int(row["prompt"]), int(row["output"]), tuple(map(int, row["blocks"])))


def _step(row: dict[str, Any]) -> Step:
    prefill = tuple((int(r), int(tokens), int(before)) for r, tokens, before in row["prefill"])
    decode = tuple((int(r), int(context)) for r, context in row["decode"])
    return Step(prefill, decode, tuple(map(int, row["left"])), *_times(row))


def _times(row: dict[str, Any]) -> tuple[int, int]:
    return int(row["compute_ns"]), int(row["memory_ns"])


def _check(path: Path, found: Schedule) -> None:
    """Refuse what no engine could run."""
    size = found.block_tokens
    if min(size, found.kv_blocks) < 1 or not found.steps or not found.requests:
        raise ValueError(f"{path}: a schedule has requests, steps, blocks and tokens in them")
    for r, request in enumerate(found.requests):
        if request.prompt < 1 or len(request.blocks) != request.prompt // size:
            raise ValueError(f"{path}: request {r}: {request.prompt} tokens, wrong blocks")
    for number, step in enumerate(found.steps):
        names = [r for r, *_ in (*step.prefill, *step.decode)]
        if not names or len(set(names)) < len(names) or max(names) >= len(found.requests):
            raise ValueError(f"{path}: step {number}: requests must be known, each once")
        if min(names) < 0 or any(n < 1 or before < 0 for _, n, before in step.prefill):
            raise ValueError(f"{path}: step {number}: a chunk has at least one token")
        if any(context < 2 for _, context in step.decode):
            raise ValueError(f"{path}: step {number}: a decode reads two tokens at least")
