"""Decisions on record: JSON lines beside the records of measurements, answered without measuring.

Comparing two ways of running operators takes seconds; a model has dozens of such questions. An
answer holds under the same circumstances as a measurement does (`tuning.records.RecordKey`), and
for the kernels that were compared: it names them.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.graph.options import Choice
from tuning.graph.plain import choice_from_dict, choice_to_dict
from tuning.operators import Operator, operator_from_dict
from tuning.records import RecordKey, RecordsError, RecordsWarning
from tuning.records.appending import append_whole
from tuning.space import Candidate

_NAMES = ("kind", "key")

Kernels = Mapping[Operator, Candidate | None]
"""The best kernel of each operator in question; None where there is none."""


@dataclass(frozen=True)
class Verdict:
    """A choice and its evidence.

    Attributes:
        choice: what was decided.
        kernels: the best kernels at that time; with others the times would be others.
    """

    choice: Choice
    kernels: Kernels


def _line(kind: str, key: str, verdict: Verdict) -> bytes:
    """Return a decision as a line, the newline included."""
    kernels = [[o.to_dict(), c and c.to_dict()] for o, c in verdict.kernels.items()]
    told = choice_to_dict(verdict.choice) | {"kind": kind, "key": key, "kernels": kernels}
    return json.dumps(told, sort_keys=True, allow_nan=False).encode() + b"\n"


def _parse(line: bytes) -> tuple[str, str, Verdict]:
    """Return kind, key and verdict.

    Raises:
        ValueError: the line is damaged.
    """
    data = json.loads(line)
    if not isinstance(data, dict) or not all(isinstance(data.get(n), str) for n in _NAMES):
        raise ValueError("has no kind or no key")
    kind, key = (data.pop(name) for name in _NAMES)
    kernels = _kernels(data.pop("kernels", None))
    return kind, key, Verdict(choice_from_dict(data), kernels)


def _kernels(told: Any) -> Kernels:
    if not isinstance(told, list) or not all(isinstance(p, list) and len(p) == 2 for p in told):
        raise ValueError("does not name the kernels that were compared")
    return {operator_from_dict(o): None if c is None else Candidate.from_dict(c) for o, c in told}


class Ledger:
    """Verdicts in one file; the last one of a kind and key counts. Damaged lines are skipped.

    Raises:
        RecordsError: the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[tuple[str, str], Verdict] = {}
        try:
            lines = path.read_bytes().splitlines()
        except FileNotFoundError:
            lines = []
        except OSError as error:
            raise RecordsError(f"{path}: decisions cannot be read: {error.strerror}") from None
        for number, line in enumerate(lines, 1):
            try:
                kind, key, verdict = _parse(line)
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                why = f"{path}: line {number} is skipped: {str(error)[:100]}"
                warnings.warn(why, RecordsWarning, stacklevel=2)
                continue
            self._known[kind, key] = verdict

    def find(self, kind: str, key: RecordKey) -> Verdict | None:
        """Return the verdict on record, None if there is none."""
        return self._known.get((kind, key.digest))

    def append(self, kind: str, key: RecordKey, verdict: Verdict) -> None:
        """Add a verdict to the file.

        Args:
            kind: `pair` or `padding`.
            key: of the operator in question: the pair, the operator without padding.
            verdict: what was decided, of which kernels.

        Raises:
            RecordsError: it cannot be written; the file is as it was.
        """
        self._known[kind, key.digest] = verdict
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            try:
                append_whole(fd, _line(kind, key.digest, verdict))
            finally:
                os.close(fd)
        except OSError as error:
            why = error.strerror or error
            raise RecordsError(f"{self.path}: decisions cannot be written: {why}") from None
