"""Comma-separated traces: a header line, then one request per row, no quoting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from serving.traces.base import TraceError, read_rows


def read_columns(path: Path, wanted: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (row number, wanted fields as text).

    Raises:
        TraceError: a column is missing, or a row has more or fewer fields than the header.
    """
    rows = read_rows(path)
    row, header = next(rows, (1, ""))
    names = [name.strip() for name in header.split(",")]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise TraceError(path, row, missing[0], f"column is missing; the header has {names[:12]}")
    places = {name: names.index(name) for name in wanted}
    for row, text in rows:
        fields = text.split(",")
        if len(fields) != len(names):
            message = f"{len(fields)} fields where the header has {len(names)}; is it cut off?"
            raise TraceError(path, row, None, message)
        yield row, {name: fields[place] for name, place in places.items()}
