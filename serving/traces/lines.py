"""JSON lines: one object per row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.traces.base import TraceError, read_rows


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (row number, object).

    Raises:
        TraceError: a row is no JSON object.
    """
    for row, text in read_rows(path):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            raise TraceError(path, row, None, "is no JSON; is the line cut off?") from None
        if not isinstance(value, dict):
            raise TraceError(path, row, None, "is no JSON object")
        yield row, value


def wanted(path: Path, row: int, value: dict[str, Any], *names: str) -> tuple[str, Any]:
    """Return (name, value) of the first of `names` that is there.

    Raises:
        TraceError: none is.
    """
    for name in names:
        if name in value:
            return name, value[name]
    raise TraceError(path, row, names[0], f"is missing; the row has {sorted(value)[:12]}")


def whole_numbers(path: Path, row: int, field: str, value: Any) -> NDArray[np.int64]:
    """Return a JSON list of non-negative whole numbers as int64.

    Raises:
        TraceError: it is something else.
    """
    if not isinstance(value, list):
        raise TraceError(path, row, field, "is no list of whole numbers")
    # bool is an int to Python; type() tells them apart.
    if any(type(item) is not int or not 0 <= item < 2**62 for item in value):
        raise TraceError(path, row, field, "holds something else than whole numbers >= 0")
    return np.array(value, np.int64)


def number(path: Path, row: int, field: str, value: Any) -> float:
    """Return a JSON number as float.

    Raises:
        TraceError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TraceError(path, row, field, "is no number")
    return float(value) if abs(value) < 1e300 else float("inf")
