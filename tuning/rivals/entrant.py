"""Who takes part in a contest, and how each is made ready to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tuning.operators import Operator
from tuning.operators.reference import Arrays
from tuning.rivals.base import Prepared
from tuning.rivals.vendors import VENDORS
from tuning.space import Candidate

KINDS = ("vendor", "templates", "tvm")


class UnsupportedError(ValueError):
    """The entrant does not compute the operator; the message says why."""


@dataclass(frozen=True)
class Entrant:
    """One participant; make it by `vendor`, `templates` or `tvm`.

    Attributes:
        name: unique in its contest.
        kind: what computes.
        path: the compiled object of a candidate, or the library that MetaSchedule exported.
        candidate: of the templates.

    Raises:
        ValueError: a field is missing, or the vendor has no such name.
    """

    name: str
    kind: Literal["vendor", "templates", "tvm"]
    path: Path | None = None
    candidate: Candidate | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind: {self.kind!r} is none of {', '.join(KINDS)}")
        if self.kind == "vendor" and self.name not in VENDORS:
            raise ValueError(f"name: {self.name!r} is none of {', '.join(VENDORS)}")
        if self.kind != "vendor" and self.path is None:
            raise ValueError(f"path: entrant {self.name!r} has no compiled library")
        if self.kind == "templates" and self.candidate is None:
            raise ValueError(f"candidate: entrant {self.name!r} has none")

    @classmethod
    def vendor(cls, name: str) -> Entrant:
        """Return a vendor library by its name in `VENDORS`."""
        return cls(name, "vendor")

    @classmethod
    def templates(cls, path: Path, candidate: Candidate, name: str = "ours") -> Entrant:
        """Return a compiled candidate."""
        return cls(name, "templates", path, candidate)

    @classmethod
    def tvm(cls, path: Path, name: str = "metaschedule") -> Entrant:
        """Return a library that `tune_metaschedule` exported."""
        return cls(name, "tvm", path)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "name": self.name,
            "kind": self.kind,
            "path": None if self.path is None else str(self.path),
            "candidate": None if self.candidate is None else self.candidate.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Entrant:
        """Return the entrant that `to_dict` described."""
        path, candidate = data["path"], data["candidate"]
        return cls(
            data["name"],
            data["kind"],
            None if path is None else Path(path),
            None if candidate is None else Candidate.from_dict(candidate),
        )

    def prepare(self, operator: Operator, operands: Arrays, threads: int) -> tuple[Prepared, str]:
        """Return the operator, ready to run in this process, and the version of what runs it.

        Raises:
            UnsupportedError: it cannot compute the operator.
        """
        if self.kind == "vendor":
            vendor = VENDORS[self.name]()
            if reason := vendor.supports(operator):
                raise UnsupportedError(reason)
            return vendor.prepare(operator, operands, threads), vendor.version()
        assert self.path is not None
        if self.kind == "templates":
            from tuning.kernel import Kernel

            assert self.candidate is not None
            kernel = Kernel(self.path, operator, self.candidate, operands)
            return Prepared(kernel, lambda: kernel.output, "one kernel"), self.candidate.text()
        from tuning.metaschedule.exported import load, version

        return load(self.path, operator, operands), version()
