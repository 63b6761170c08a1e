"""Vidur's processed traces: `num_prefill_tokens,num_decode_tokens,...`, no arrival times."""

from __future__ import annotations

from pathlib import Path

from serving.traces.base import Trace, count, finished
from serving.traces.columns import read_columns

WANTED = ("num_prefill_tokens", "num_decode_tokens")


def load(path: Path) -> Trace:
    """Read the file; all requests arrive at time 0.

    Raises:
        TraceError: the file or a row is malformed.
    """
    rows = [
        [count(path, row, name, fields[name]) for name in WANTED]
        for row, fields in read_columns(path, WANTED)
    ]
    prompts, outputs = [row[0] for row in rows], [row[1] for row in rows]
    return finished(path, prompts, outputs, [0] * len(rows))
