"""Mooncake traces: JSON lines `timestamp` (ms), `input_length`, `output_length`, `hash_ids`.

A hash id stands for a block of 512 tokens *and* all before it; the last block may be partial.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from serving.traces.base import Trace, TraceError, checked_arrival, count
from serving.traces.lines import number, read_objects, wanted, whole_numbers

HASH_TOKENS = 512
NS_PER_MS = 1e6


def load(path: Path) -> Trace:
    """Read the file.

    Raises:
        TraceError: the file or a row is malformed.
    """
    rows, hashes, last = [], [], 0
    for row, value in read_objects(path):
        fields = [wanted(path, row, value, name)[1] for name in ("input_length", "output_length")]
        prompt = count(path, row, "input_length", fields[0])
        output = count(path, row, "output_length", fields[1])
        stamp = number(path, row, "timestamp", wanted(path, row, value, "timestamp")[1])
        last = checked_arrival(path, row, "timestamp", stamp * NS_PER_MS, last)
        ids = whole_numbers(path, row, "hash_ids", wanted(path, row, value, "hash_ids")[1])
        blocks = -(-prompt // HASH_TOKENS)
        if ids.size != blocks:
            message = f"{ids.size} ids where input_length {prompt} fills {blocks} blocks of 512"
            raise TraceError(path, row, "hash_ids", message)
        rows.append((prompt, output, last))
        hashes.append(ids)
    if not rows:
        raise TraceError(path, None, None, "holds no request")
    prompts, outputs, arrivals = np.array(rows, np.int64).T
    offsets = np.r_[0, np.cumsum([ids.size for ids in hashes])]
    return Trace(prompts, outputs, arrivals, HASH_TOKENS, np.concatenate(hashes), offsets)
