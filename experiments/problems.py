"""Faults in what a user wrote: collected, then reported together with file, line and field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One fault.

    Attributes:
        file: the file as the user named it.
        line: 1-based line, or None where the fault has no line (a missing file).
        field: dotted path of the field, "" for the file as a whole.
        message: what is wrong, what is allowed, and the nearest name where there is one.
    """

    file: str
    line: int | None
    field: str
    message: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        text = (
            f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"
        )
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class InputError(Exception):
    """What the user asked for cannot be done; the command line ends with exit code 2."""


class InvalidManifest(InputError):
    """A manifest with faults; `problems` holds all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))
