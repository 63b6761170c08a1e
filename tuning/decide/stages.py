"""What runs in a race: kernels and copies, one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuning.operators import Operator, operator_from_dict
from tuning.space import Candidate


@dataclass(frozen=True)
class KernelStage:
    """One kernel.

    Operands come from those of the race's base operator, filled up with zeros at the end of
    every axis to the shape that the stage's operator wants.

    Attributes:
        operator: what it computes.
        candidate: by which instance of a template.
        after: index of the stage whose output is its first operand; None: the base's operand.
        tail: what is appended to a name to find it among the base's operands ("1" for the second
            half of a pair).
    """

    operator: Operator
    candidate: Candidate
    after: int | None = None
    tail: str = ""

    def to_dict(self, path: str) -> dict[str, Any]:
        """Return plain values; `path` is the compiled object."""
        return {
            "operator": self.operator.to_dict(),
            "candidate": self.candidate.to_dict(),
            "path": path,
            "after": self.after,
            "tail": self.tail,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> KernelStage:
        """Return the stage that `to_dict` described."""
        return cls(
            operator_from_dict(data["operator"]),
            Candidate.from_dict(data["candidate"]),
            data["after"],
            data["tail"],
        )


@dataclass(frozen=True)
class CopyStage:
    """A copy into a tensor of another innermost width: zeros are added, or the end is left out.

    Attributes:
        shape: of the output.
        after: as in `KernelStage`; None: the base's first operand.
    """

    shape: tuple[int, ...]
    after: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"shape": list(self.shape), "after": self.after}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CopyStage:
        """Return the stage that `to_dict` described."""
        return cls(tuple(data["shape"]), data["after"])


Stage = KernelStage | CopyStage
