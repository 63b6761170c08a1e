"""The copy that padding costs: one source for the race that decides and the model that runs."""

from __future__ import annotations

from pathlib import Path


def copy_text() -> str:
    """Return the C++ source of `triptych_copy`, which is called like a kernel."""
    return (Path(__file__).parent / "copy.cpp").read_text(encoding="utf-8")


def copy_dims(given: tuple[int, ...], made: tuple[int, ...]) -> tuple[int, int, int]:
    """Return its `dims`: rows, innermost width that is read, and that is written.

    Raises:
        ValueError: the shapes differ in more than their innermost width.
    """
    rows = 1
    for extent in given[:-1]:
        rows *= extent
    if len(given) < 1 or given[:-1] != made[:-1]:
        raise ValueError(f"copy: {given} and {made} differ in more than the innermost width")
    return rows, given[-1], made[-1]
