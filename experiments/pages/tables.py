"""Tables and links in MyST markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

SOURCE = "../.."
"""From a generated page, in `docs/generated`, to the root of the repository."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, an empty one behind it."""
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    return [*lines, ""]


def cell(text: str) -> str:
    """Return text fit for a cell: on one line, without bars of its own."""
    return " ".join(text.split()).replace("|", "\\|")


def number(value: float) -> str:
    """Return a number with four digits that count, whole ones in full."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"


def heading(level: int, text: str) -> list[str]:
    """Return the lines of a heading."""
    return [f"{'#' * level} {text}", ""]
