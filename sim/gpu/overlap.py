"""How the compute time and the memory time of one batch step add up.

`sum`: one after the other, as vLLM and SGLang run their operators. `max`: perfect overlap.
`partial`: a fraction h of the shorter one hides behind the longer one, so h = 0 is `sum` and
h = 1 is `max`. BlendServe (section 3.3) only names `sum` and `max`; the published NanoFlow
interference points support h of about 0.5 for the kernels alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numba

from policies.registry import UnknownNameError

SUM, MAX, PARTIAL = 0, 1, 2


@numba.njit(cache=True)
def combine(kind: int, h: float, compute: float, memory: float) -> float:
    """Return the time of a step from its two parts, all in the same unit.

    Args:
        kind: SUM, MAX or PARTIAL.
        h: hidden fraction in [0, 1]; only PARTIAL reads it.
        compute: time of the compute-bound operators, >= 0.
        memory: time of the memory-bound operators, >= 0.
    """
    longer = max(compute, memory)
    if kind == MAX:
        return longer
    shorter = min(compute, memory)
    if kind == SUM:
        return longer + shorter
    return longer + (1.0 - h) * shorter


class Overlap(Protocol):
    """An overlap model: the two numbers that `combine` wants."""

    code: ClassVar[int]

    @property
    def hidden_fraction(self) -> float:
        """The h that `combine` is given."""
        ...


@dataclass(frozen=True)
class Sum:
    """No overlap."""

    code: ClassVar[int] = SUM
    hidden_fraction: float = 0.0


@dataclass(frozen=True)
class Max:
    """Perfect overlap."""

    code: ClassVar[int] = MAX
    hidden_fraction: float = 1.0


@dataclass(frozen=True)
class Partial:
    """A fraction `h` in [0, 1] of the shorter part is hidden."""

    code: ClassVar[int] = PARTIAL
    h: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.h <= 1.0:
            raise ValueError(f"overlap h must lie in [0, 1], got {self.h}")

    @property
    def hidden_fraction(self) -> float:
        """The h that `combine` is given."""
        return self.h


OVERLAPS: dict[str, type] = {"sum": Sum, "max": Max, "partial": Partial}


def overlap_named(kind: str, h: float | None = None) -> Overlap:
    """Return the overlap model `kind`; only `partial` takes `h`.

    Raises:
        UnknownNameError: no model has that name.
        ValueError: `h` is missing, out of range, or given to a model without it.
    """
    if kind not in OVERLAPS:
        raise UnknownNameError("overlap model", kind, OVERLAPS)
    if (kind == "partial") != (h is not None):
        raise ValueError(f"overlap {kind!r}: h belongs to 'partial' and only to it, got {h}")
    return OVERLAPS[kind]() if h is None else Partial(h)
