"""How candidates are timed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

_EVICTION = 2
_LEAST = {"threads": 1, "warmup": 0, "samples": 1, "min_sample_ns": 0, "seed": 0}


@dataclass(frozen=True)
class ProfileSettings:
    """What decides a time besides the candidate.

    Attributes:
        threads: OpenMP threads of the worker that runs kernels.
        warmup: untimed calls of a candidate, besides the one whose numbers are checked.
        samples: timed samples per candidate; hopeless candidates get fewer.
        min_sample_ns: a sample repeats calls until it lasts about this long (`warm` only).
        cache: `warm`: calls follow each other; `cold`: before each call twice the last-level
            cache is written, and a sample is one call.
        timeout_s: seconds that one turn of a candidate may take before the worker is killed.
        seed: of operands and of the order in which candidates take turns.
        check: whether numbers are compared with the reference before a time counts.

    Raises:
        ValueError: a field is out of range.
    """

    threads: int
    warmup: int = 2
    samples: int = 15
    min_sample_ns: int = 200_000
    cache: Literal["warm", "cold"] = "warm"
    timeout_s: float = 30.0
    seed: int = 0
    check: bool = True

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}: {value!r} is not a whole number >= {least}")
        if self.cache not in ("warm", "cold"):
            raise ValueError(f"cache: {self.cache!r} is neither 'warm' nor 'cold'")
        if not (math.isfinite(self.timeout_s) and self.timeout_s > 0):
            raise ValueError(f"timeout_s: {self.timeout_s} is not a positive number of seconds")

    def evict_bytes(self, l3_bytes: int) -> int:
        """Return how much a sample writes first: twice the last-level cache if cold, else 0."""
        return _EVICTION * l3_bytes if self.cache == "cold" else 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ProfileSettings:
        """Return the settings that `to_dict` described; ValueError for an unknown field."""
        if unknown := set(data) - {field.name for field in fields(cls)}:
            raise ValueError(f"{min(unknown)}: unknown field of the profiler's settings")
        return cls(**data)
