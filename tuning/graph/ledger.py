"""Decisions on record: JSON lines beside the records of measurements, answered without measuring.

Comparing two ways of running operators takes seconds; a model has dozens of such questions. An
answer holds under the same circumstances as a measurement does (`tuning.records.RecordKey`).
"""

from __future__ import annotations

import fcntl
import json
import os
import warnings
from pathlib import Path

from tuning.graph.options import Choice
from tuning.graph.plain import choice_from_dict, choice_to_dict
from tuning.records import RecordKey, RecordsError, RecordsWarning

_NAMES = ("kind", "key")


def _line(kind: str, key: str, choice: Choice) -> bytes:
    """Return a decision as a line, the newline included."""
    told = choice_to_dict(choice) | {"kind": kind, "key": key}
    return json.dumps(told, sort_keys=True, allow_nan=False).encode() + b"\n"


def _parse(line: bytes) -> tuple[str, str, Choice]:
    """Return kind, key and choice.

    Raises:
        ValueError: the line is damaged.
    """
    data = json.loads(line)
    if not isinstance(data, dict) or not all(isinstance(data.get(n), str) for n in _NAMES):
        raise ValueError("has no kind or no key")
    kind, key = (data.pop(name) for name in _NAMES)
    return kind, key, choice_from_dict(data)


class Ledger:
    """Choices in one file; the last one of a kind and key counts. Damaged lines are skipped.

    Raises:
        RecordsError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[tuple[str, str], Choice] = {}
        try:
            lines = path.read_bytes().splitlines()
        except FileNotFoundError:
            lines = []
        except OSError as error:
            raise RecordsError(f"{path}: decisions cannot be read: {error.strerror}") from None
        for number, line in enumerate(lines, 1):
            try:
                kind, key, choice = _parse(line)
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                why = f"{path}: line {number} is skipped: {str(error)[:100]}"
                warnings.warn(why, RecordsWarning, stacklevel=2)
                continue
            self._known[kind, key] = choice

    def find(self, kind: str, key: RecordKey) -> Choice | None:
        """Return the choice on record, None if there is none."""
        return self._known.get((kind, key.digest))

    def append(self, kind: str, key: RecordKey, choice: Choice) -> None:
        """Add a choice to the file.

        Args:
            kind: `pair` or `padding`.
            key: of the operator in question: the pair, the operator without padding.
            choice: what was decided.

        Raises:
            RecordsError: it cannot be written; the file is as it was.
        """
        self._known[kind, key.digest] = choice
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            try:
                _append(fd, _line(kind, key.digest, choice))
            finally:
                os.close(fd)
        except OSError as error:
            why = error.strerror or error
            raise RecordsError(f"{self.path}: decisions cannot be written: {why}") from None


def _append(fd: int, data: bytes) -> None:
    fcntl.flock(fd, fcntl.LOCK_EX)
    size = os.fstat(fd).st_size
    if size and os.pread(fd, 1, size - 1) != b"\n":
        data = b"\n" + data  # a writer was killed within its last line
    try:
        if (written := os.write(fd, data)) < len(data):
            raise OSError(f"only {written} of {len(data)} bytes were written; disk full?")
    except OSError:
        os.ftruncate(fd, size)
        raise
