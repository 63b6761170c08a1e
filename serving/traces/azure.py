"""Azure LLM inference traces: `TIMESTAMP,ContextTokens,GeneratedTokens`."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from serving.traces.base import Trace, TraceError, checked_arrival, count, finished
from serving.traces.columns import read_columns

WANTED = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")


def load(path: Path) -> Trace:
    """Read the file; arrivals count from its first row.

    Raises:
        TraceError: the file or a row is malformed.
    """
    prompts: list[int] = []
    outputs: list[int] = []
    arrivals: list[int] = []
    start: datetime | None = None
    for row, fields in read_columns(path, WANTED):
        time = _time(path, row, fields["TIMESTAMP"])
        start = start or time
        nanoseconds = (time - start) // timedelta(microseconds=1) * 1000
        last = arrivals[-1] if arrivals else 0
        if nanoseconds < last:
            raise TraceError(path, row, "TIMESTAMP", "time goes back; rows must be sorted")
        arrivals.append(checked_arrival(path, row, "TIMESTAMP", nanoseconds, last))
        prompts.append(count(path, row, "ContextTokens", fields["ContextTokens"]))
        outputs.append(count(path, row, "GeneratedTokens", fields["GeneratedTokens"]))
    return finished(path, prompts, outputs, arrivals)


def _time(path: Path, row: int, text: str) -> datetime:
    whole, _, fraction = text.strip().removesuffix("Z").partition(".")
    fraction = fraction.split("+")[0]
    try:
        if fraction and not (fraction.isascii() and fraction.isdigit()):
            raise ValueError(fraction)
        time = datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}")
        if time.tzinfo is not None:  # the trace is in one zone; two in one file do not compare
            raise ValueError(text)
        return time
    except ValueError:
        message = f"{text[:40]!r} is no time like 2023-11-16 18:17:03.9799600"
        raise TraceError(path, row, "TIMESTAMP", message) from None
