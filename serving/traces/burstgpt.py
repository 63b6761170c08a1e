"""BurstGPT: `Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type`.

Timestamps are seconds. Failed requests have 0 response tokens; they are left out and counted.
Later releases have further columns, which are not read.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from serving.traces.base import Trace, TraceError, checked_arrival, count, finished
from serving.traces.columns import read_columns

REQUEST, RESPONSE = "Request tokens", "Response tokens"
WANTED = ("Timestamp", REQUEST, RESPONSE)
NS_PER_S = 1e9


def load(path: Path) -> Trace:
    """Read the file; `Trace.failed` is the number of rows left out.

    Raises:
        TraceError: the file or a row is malformed, or all requests failed.
    """
    prompts: list[int] = []
    outputs: list[int] = []
    arrivals: list[int] = []
    failed, last = 0, 0
    for row, fields in read_columns(path, WANTED):
        last = checked_arrival(path, row, "Timestamp", _time(path, row, fields["Timestamp"]), last)
        output = count(path, row, RESPONSE, fields[RESPONSE], least=0)
        prompt = count(path, row, REQUEST, fields[REQUEST], least=1 if output else 0)
        if output == 0:
            failed += 1
            continue
        prompts.append(prompt)
        outputs.append(output)
        arrivals.append(last)
    return replace(finished(path, prompts, outputs, arrivals), failed=failed)


def _time(path: Path, row: int, text: str) -> float:
    """Return nanoseconds; `float` alone would take other scripts' digits and underscores."""
    try:
        if not text.isascii() or "_" in text:
            raise ValueError(text)
        return float(text) * NS_PER_S
    except ValueError:
        message = f"{text[:40]!r} is no number of seconds"
        raise TraceError(path, row, "Timestamp", message) from None
