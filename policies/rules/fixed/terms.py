"""Integer terms: what a rule becomes, each value with its format, its bounds and its error.

A term's integer n stands for n * 2**-fraction. Its bounds come from those of its operands by
arithmetic on whole numbers of any size, and no term exists that may need more than `BITS`: nothing
overflows in 64 bits, whatever the inputs. Its error bounds how far its value is from
that of the rule in float64, as long as both took the same branches (see `compile`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias

BITS = 62
"""Magnitudes below 2**62 leave room to round by adding half before a shift."""
LEAST_BITS = 8
"""A value that varies and keeps fewer bits than these is lost, not rounded."""
MOST_RELATIVE = 0.125
FLOAT_ROUNDING = 2.0**-50
"""More than one operation on float64 errs, relative to its result (exp, log and tanh included)."""


class LossError(ValueError):
    """A value has no format in 64 bits that keeps enough of it; the message ends a sentence."""


@dataclass(frozen=True, slots=True)
class Term:
    """One integer operation.

    Attributes:
        kind: `input`, `number`, or an operation of `evaluate.OPERATIONS`.
        args: its operands.
        parameters: whole numbers that belong to the operation: a shift, a limit.
        fraction: fractional bits of the value; below zero where it is counted in more than ones.
        low: least integer it can be.
        high: greatest.
        error: most that it differs from the value v in float64, but for what follows.
        relative: it differs by `error` + `relative` |v| at most.
        note: text of the rule that begins here; "" inside an expression.
    """

    kind: str
    args: tuple[Term, ...]
    parameters: tuple[int, ...]
    fraction: int
    low: int
    high: int
    error: float
    relative: float = 0.0
    note: str = ""

    def __post_init__(self) -> None:
        if self.low > self.high or self.bits > BITS:
            raise AssertionError(f"{self.kind}: no interval of 62 bits: {self.low}, {self.high}")

    @property
    def bits(self) -> int:
        """Bits of its greatest magnitude."""
        return max(-self.low, self.high).bit_length()

    @property
    def worst(self) -> float:
        """Most that it differs from the value in float64."""
        most = math.ldexp(max(-self.low, self.high), -self.fraction)
        return (self.error + self.relative * most) / (1.0 - self.relative)

    @property
    def most(self) -> float:
        """Its greatest magnitude, as a value, and that of the float64 that it stands for."""
        return math.ldexp(max(-self.low, self.high), -self.fraction) + self.worst

    @property
    def varies(self) -> bool:
        """Whether it can be more than one integer."""
        return self.low < self.high


Corners: TypeAlias = Sequence[int]


def made(
    kind: str,
    args: tuple[Term, ...],
    fraction: int,
    corners: Corners,
    error: float,
    relative: float = 0.0,
    parameters: tuple[int, ...] = (),
) -> Term:
    """Return an operation whose extremes are among `corners`.

    `error` and `relative` leave out float64's own rounding; `small_relative` says which may be.
    """
    low, high = min(corners), max(corners)
    relative += FLOAT_ROUNDING
    if relative > MOST_RELATIVE:  # a quotient by 1 - relative must stay near 1
        raise AssertionError(f"{kind}: relative error {relative:g}; callers give an absolute one")
    return Term(kind, args, parameters, fraction, low, high, error, relative)


def small_relative(relative: float) -> bool:
    """Return whether a relative error is small enough to be told as one."""
    return relative + FLOAT_ROUNDING <= MOST_RELATIVE


def number(value: Fraction | float, bits: int = 53) -> Term:
    """Return a constant: its leading bits, rounded, without zeros at the end."""
    exact = Fraction(value)
    if exact == 0:
        return Term("number", (), (0,), 0, 0, 0, 0.0)
    ratio = abs(exact)
    fraction = bits - (ratio.numerator.bit_length() - ratio.denominator.bit_length())
    raw = round(exact * Fraction(2) ** fraction)
    while raw % 2 == 0:
        raw //= 2
        fraction -= 1
    error = float(abs(exact - raw * Fraction(2) ** -fraction))
    return Term("number", (), (raw,), fraction, raw, raw, error)


def quantum(fraction: int) -> float:
    """Return the value of one in a format."""
    return math.ldexp(1.0, -fraction)


def rounded(raw: int, shift: int) -> int:
    """Return raw / 2**shift to the nearest, ties upward, as compiled code does it."""
    return (raw + (1 << shift >> 1)) >> shift


def at_fraction(term: Term, fraction: int, harmless: float = 0.0) -> Term:
    """Return a term in another format, rounded to the nearest where that has fewer bits.

    Raises:
        LossError: nearly nothing of a value that varies is left, and its size is not `harmless`.
    """
    shift = term.fraction - fraction
    if shift == 0:
        return term
    if shift < 0:
        ends = term.low << -shift, term.high << -shift
        if term.kind == "number":
            return Term("number", (), ends[:1], fraction, *ends, term.error)
        return Term("scale", (term,), (-shift,), fraction, *ends, term.error, term.relative)
    kept = (term.high - term.low) >> shift
    if term.varies and kept < 1 << LEAST_BITS and term.most > harmless:
        raise LossError(
            f"would keep fewer than {LEAST_BITS} bits of a value that it needs; "
            "narrow the bounds of its inputs, or limit its parts by min and max"
        )
    ends = rounded(term.low, shift), rounded(term.high, shift)
    if term.kind == "number":
        error = term.error + abs(math.ldexp((ends[0] << shift) - term.low, -term.fraction))
        return Term("number", (), ends[:1], fraction, *ends, error)
    error = term.error + 0.5 * quantum(fraction)
    if shift > BITS:  # all of it is rounded away
        return replace(number(0.0), fraction=fraction, error=term.most)
    return Term("shift", (term,), (shift,), fraction, *ends, error, term.relative)


def common_fraction(terms: Sequence[Term], bits: int) -> int:
    """Return the finest format in use in which each of `terms` has at most so many bits."""
    room = [bits - (term.bits - term.fraction) for term in terms if term.bits]
    return min([max(term.fraction for term in terms), *room])


def aligned(a: Term, b: Term, bits: int, harmless: float = 0.0) -> tuple[Term, Term]:
    """Return both terms in one format of at most so many bits; LossError as `at_fraction`."""
    fraction = common_fraction((a, b), bits)
    return at_fraction(a, fraction, harmless), at_fraction(b, fraction, harmless)


def clamped(term: Term, low: int, high: int) -> Term:
    """Return a term brought into [low, high], integers of its own format."""
    if term.low >= low and term.high <= high:
        return term
    low, high = max(low, min(term.low, high)), min(high, max(term.high, low))
    ends = min(max(term.low, low), high), min(max(term.high, low), high)
    return Term("clamp", (term,), (low, high), term.fraction, *ends, term.error, term.relative)


def fitted(term: Term, fraction: int, low: float, high: float) -> Term:
    """Return a term brought into [low, high], and into a format with room for these.

    Raises:
        LossError: see `at_fraction`.
    """
    if term.fraction < fraction:  # limited coarsely first, so that scaling cannot overflow
        one = Fraction(2) ** term.fraction
        term = clamped(term, math.floor(Fraction(low) * one), math.ceil(Fraction(high) * one))
    one = Fraction(2) ** fraction
    if term.fraction < fraction and term.bits + fraction - term.fraction > BITS:
        raise LossError("is too coarse where it is needed; limit its parts by min and max")
    ends = math.ceil(Fraction(low) * one), math.floor(Fraction(high) * one)
    found = clamped(at_fraction(term, fraction, harmless=math.inf), *ends)
    exact = all(one * Fraction(x) % 1 == 0 for x in (low, high))
    return found if exact else replace(found, error=found.error + quantum(fraction))
