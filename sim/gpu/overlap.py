"""How the compute time and the memory time of one batch step add up.

`sum`: one after the other, as vLLM and SGLang run their operators. `max`: perfect overlap.
`partial`: a fraction h of the shorter one hides behind the longer one, so h = 0 is `sum` and
h = 1 is `max`. `interference`: two kernels share the GPU, and each published point says how fast
the memory-bound one runs while the GEMM is left with the rest; the best point is taken.
`surface`: a polynomial in the share of compute, fitted to measured times.

BlendServe (section 3.3) only names `sum` and `max`; the published NanoFlow interference points
support h of about 0.5 for the kernels alone. The arithmetic is `sim.gpu.combine`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.registry import UnknownNameError

SUM, MAX, PARTIAL, INTERFERENCE, SURFACE = range(5)

# NanoFlow (OSDI '25), Table 3 and its text: share R of the GPU given to the memory-bound kernel
# -> its speed P relative to running alone; the GEMM is left with 1 - R.
NANOFLOW_POINTS = ((0.1, 0.2), (0.2, 0.3), (0.4, 0.8), (0.8, 0.85), (0.9, 0.95))


class Overlap(Protocol):
    """An overlap model: what `combine` wants."""

    code: ClassVar[int]

    @property
    def numbers(self) -> tuple[float, ...]:
        """The numbers that `combine` is given."""
        ...


@dataclass(frozen=True)
class Sum:
    """No overlap."""

    code: ClassVar[int] = SUM

    @property
    def numbers(self) -> tuple[float, ...]:
        """Nothing: the model has no parameter."""
        return ()


@dataclass(frozen=True)
class Max:
    """Perfect overlap."""

    code: ClassVar[int] = MAX

    @property
    def numbers(self) -> tuple[float, ...]:
        """Nothing: the model has no parameter."""
        return ()


@dataclass(frozen=True)
class Partial:
    """A fraction `h` in [0, 1] of the shorter part is hidden."""

    code: ClassVar[int] = PARTIAL
    h: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.h <= 1.0:
            raise ValueError(f"overlap h must lie in [0, 1], got {self.h}")

    @property
    def numbers(self) -> tuple[float, ...]:
        """The h that `combine` is given."""
        return (self.h,)


@dataclass(frozen=True)
class Interference:
    """Points (R, P): share given to the memory-bound kernel, its speed; both in (0, 1)."""

    code: ClassVar[int] = INTERFERENCE
    points: tuple[tuple[float, float], ...] = NANOFLOW_POINTS

    def __post_init__(self) -> None:
        if not all(0.0 < number < 1.0 for point in self.points for number in point):
            raise ValueError("interference points (R, P) must lie within (0, 1)")

    @property
    def numbers(self) -> tuple[float, ...]:
        """R, P, R, P, ..."""
        return tuple(number for point in self.points for number in point)


@dataclass(frozen=True)
class Surface:
    """Time over sequential time, as a polynomial in compute's share of the latter."""

    code: ClassVar[int] = SURFACE
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.coefficients or not np.isfinite(self.coefficients).all():
            raise ValueError("surface coefficients must be finite, and at least one")

    @property
    def numbers(self) -> tuple[float, ...]:
        """The coefficients of 1, x, x^2, ..."""
        return self.coefficients

    @classmethod
    def fitted(
        cls, compute: ArrayLike, memory: ArrayLike, step: ArrayLike, degree: int = 4
    ) -> Surface:
        """Fit measured steps by least squares of the relative time.

        Args:
            compute: float[n], time of the compute-bound part alone, > 0.
            memory: float[n], time of the memory-bound part alone, > 0.
            step: float[n], measured time of both together, same unit.
            degree: of the polynomial, >= 0.

        Raises:
            ValueError: fewer than `degree` + 1 measurements, or they are not positive.
        """
        c, m, t = (np.asarray(values, np.float64).ravel() for values in (compute, memory, step))
        if not c.size == m.size == t.size or c.size <= degree:
            raise ValueError(f"a surface of degree {degree} needs more than {degree} points")
        if min(c.min(), m.min(), t.min()) <= 0 or not np.isfinite(c + m + t).all():
            raise ValueError("measured times must be positive and finite")
        powers: NDArray[np.float64] = np.vander(c / (c + m), degree + 1, increasing=True)
        found, *_ = np.linalg.lstsq(powers, t / (c + m), rcond=None)
        return cls(tuple(map(float, found)))


# Models under which every run is timed besides its own; on one GPU, h of `partial` interpolates
# the first two.
WHAT_IF: dict[str, Overlap] = {
    "sum": Sum(),
    "max": Max(),
    "interference": Interference(),
}

OVERLAPS: dict[str, type] = {
    "sum": Sum,
    "max": Max,
    "partial": Partial,
    "interference": Interference,
    "surface": Surface,
}


def overlap_named(kind: str, **numbers: object) -> Overlap:
    """Return the overlap model `kind` with what it takes: `h`, `points` or `coefficients`.

    Raises:
        UnknownNameError: no model has that name.
        ValueError: a number is missing, out of range, or given to a model without it.
    """
    if kind not in OVERLAPS:
        raise UnknownNameError("overlap model", kind, OVERLAPS)
    try:
        return OVERLAPS[kind](**numbers)
    except TypeError as error:
        raise ValueError(f"overlap {kind!r}: {error}") from None
