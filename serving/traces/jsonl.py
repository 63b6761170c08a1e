"""Plain JSON lines with token ids.

`{"prompt_token_ids": [...], "output_tokens": n, "arrival_s": t}`, the arrival optional; also
LLMServingSim's names `input_tok_ids`, `output_toks`, `arrival_time_ns`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from serving.traces.base import MAX_TOKENS, Trace, TraceError, checked_arrival, count
from serving.traces.lines import number, read_objects, wanted, whole_numbers

NS_PER_S = 1e9


def load(path: Path) -> Trace:
    """Read the file.

    Raises:
        TraceError: the file or a row is malformed.
    """
    prompts, outputs, arrivals, last = [], [], [], 0
    for row, value in read_objects(path):
        name, ids = wanted(path, row, value, "prompt_token_ids", "input_tok_ids")
        tokens = whole_numbers(path, row, name, ids)
        if not 1 <= tokens.size <= MAX_TOKENS:
            message = f"{tokens.size} tokens; allowed are 1 to {MAX_TOKENS}"
            raise TraceError(path, row, name, message)
        name, output = wanted(path, row, value, "output_tokens", "output_toks")
        prompts.append(tokens)
        outputs.append(count(path, row, name, output))
        last = _arrival(path, row, value, last)
        arrivals.append(last)
    if not prompts:
        raise TraceError(path, None, None, "holds no request")
    lengths = np.array([tokens.size for tokens in prompts], np.int64)
    columns = (lengths, np.array(outputs, np.int64), np.array(arrivals, np.int64))
    return Trace(*columns, tokens=tuple(prompts))


def _arrival(path: Path, row: int, value: dict[str, Any], last: int) -> int:
    for name, unit in (("arrival_s", NS_PER_S), ("arrival_time_ns", 1.0)):
        if name in value:
            time = number(path, row, name, value[name]) * unit
            return checked_arrival(path, row, name, time, last)
    return last
