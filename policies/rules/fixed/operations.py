"""Sums, products, quotients and the like of terms: formats, exact bounds, and error."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from policies.rules.elementary import EPS
from policies.rules.fixed import functions
from policies.rules.fixed.terms import (
    BITS,
    LEAST_BITS,
    LossError,
    Term,
    aligned,
    at_fraction,
    clamped,
    common_fraction,
    made,
    number,
    quantum,
    small_relative,
)

EPS_BITS = 20
"""`EPS` is 2**-20."""
FINEST = 80
"""What is compared with `EPS` needs no more fractional bits: `EPS` itself then has 60."""
DIVISOR_BITS = 16
"""A divisor at its least keeps so many bits, where there are as many."""


@dataclass(frozen=True)
class Tolerance:
    """What errors need no care.

    Attributes:
        harmless: a magnitude that no action shows.
        negligible: a quotient that may count as nothing, where its divisor is so large.
        small: an error that is not worth a costlier multiplication.
    """

    harmless: float
    negligible: float
    small: float


def negative(x: Term) -> Term:
    """Return -x."""
    return made("negative", (x,), x.fraction, (-x.low, -x.high), x.error, x.relative)


def absolute(x: Term) -> Term:
    """Return abs(x)."""
    if x.low >= 0:
        return x
    least = 0 if x.high >= 0 else -x.high
    return made("abs", (x,), x.fraction, (least, max(-x.low, x.high)), x.error, x.relative)


def plus(a: Term, b: Term, sign: int, tolerance: Tolerance) -> Term:
    """Return a + b, or a - b if `sign` is -1."""
    a, b = aligned(a, b, BITS - 2, tolerance.harmless)
    if sign > 0:
        ends, kind = (a.low + b.low, a.high + b.high), "add"
    else:
        ends, kind = (a.low - b.high, a.high - b.low), "subtract"
    relative = max(a.relative, b.relative)
    if _alike(a, b, sign) and small_relative(relative):
        error = (a.error + b.error) * (1.0 + 4.0 * relative)
        return made(kind, (a, b), a.fraction, ends, error, relative)
    return made(kind, (a, b), a.fraction, ends, a.worst + b.worst)


def _alike(a: Term, b: Term, sign: int) -> bool:
    """Return whether a and sign b are never of opposite signs, so that they cannot cancel."""
    low, high = (b.low, b.high) if sign > 0 else (-b.high, -b.low)
    return (a.low >= 0 and low >= 0) or (a.high <= 0 and high <= 0)


def comparable(a: Term, b: Term, kind: str, tolerance: Tolerance) -> tuple[Term, Term]:
    """Return both sides of a comparison in one format.

    A constant that is finer than the other side is moved to the next integer from which the
    comparison has the very same outcome.
    """
    if a.kind == "number" and a.fraction > b.fraction:
        return _threshold(a, b, upward=kind in ("<=", ">")), b
    if b.kind == "number" and b.fraction > a.fraction:
        return a, _threshold(b, a, upward=kind in ("<", ">="))
    a, b = _limited(a, b, "both", tolerance), _limited(b, a, "both", tolerance)
    return aligned(a, b, BITS - 1, tolerance.harmless)


def extreme(a: Term, b: Term, kind: str, tolerance: Tolerance) -> Term:
    """Return the least of a and b if `kind` is `min`, the greatest if `max`."""
    a, b = _limited(a, b, kind, tolerance), _limited(b, a, kind, tolerance)
    a, b = aligned(a, b, BITS - 1, tolerance.harmless)
    pick = min if kind == "min" else max
    ends = pick(a.low, b.low), pick(a.high, b.high)
    error, relative = max(a.error, b.error), max(a.relative, b.relative)
    if small_relative(relative):
        return made(kind, (a, b), a.fraction, ends, error, relative)
    return made(kind, (a, b), a.fraction, ends, max(a.worst, b.worst))


def _threshold(constant: Term, other: Term, upward: bool) -> Term:
    value = Fraction(constant.low) * Fraction(2) ** (other.fraction - constant.fraction)
    raw = math.ceil(value) if upward else math.floor(value)
    raw = min(max(raw, other.low - 1), other.high + 1)
    return Term("number", (), (raw,), other.fraction, raw, raw, constant.error)


def _limited(a: Term, other: Term, use: str, tolerance: Tolerance) -> Term:
    """Return a near the bounds of `other` if there is no room for both in one fine format.

    `use` says where a's value beyond these bounds is never used: `min`: above, `max`: below,
    or `both`.
    """
    common = common_fraction((a, other), BITS - 1)
    if common >= max(a.fraction, other.fraction) or quantum(common) <= tolerance.small:
        return a
    margin = 2.0 * (a.worst + other.worst) + quantum(other.fraction) + quantum(a.fraction)
    one = Fraction(2) ** (a.fraction - other.fraction)
    more = math.ceil(Fraction(margin) * Fraction(2) ** a.fraction)
    low = math.floor(other.low * one) - more if use != "min" else a.low
    high = math.ceil(other.high * one) + more if use != "max" else a.high
    if low > a.high or high < a.low:  # the outcome is known whatever a is
        return a
    return clamped(a, max(low, a.low), min(high, a.high))


def product(a: Term, b: Term, tolerance: Tolerance) -> Term:
    """Return a b: operands cut to 62 bits together; by halves where that loses too much.

    A factor that is a power of two only moves the point.
    """
    for x, factor in ((a, b), (b, a)):
        if factor.kind == "number" and factor.low == 1 and factor.error == 0.0:
            error = math.ldexp(x.error, -factor.fraction)
            return replace(x, fraction=x.fraction + factor.fraction, error=error)
    excess = a.bits + b.bits - BITS
    if excess <= 0:
        return _multiplied(a, b)
    short, long = (a, b) if a.bits <= b.bits else (b, a)
    kept = max(BITS // 2, BITS - short.bits)
    x = at_fraction(long, long.fraction - max(0, long.bits - kept), math.inf)
    y = at_fraction(short, short.fraction - max(0, x.bits + short.bits - BITS), math.inf)
    if x.bits + y.bits > BITS:  # rounding gave a bit more
        x = at_fraction(x, x.fraction - 1, math.inf)
    cut = x.most * (y.error - short.error) + y.most * (x.error - long.error)
    if cut <= tolerance.small:
        return _multiplied(x, y)
    ends = [_wide(i, j, excess) for i in (a.low, a.high) for j in (b.low, b.high)]
    fraction = a.fraction + b.fraction - excess
    error, relative = _product_error(a, b)
    return made("wide", (a, b), fraction, ends, error + quantum(fraction), relative, (excess,))


def quotient(a: Term, b: Term, tolerance: Tolerance) -> Term:
    """Return a / b, as `elementary.divide` guards it.

    Raises:
        LossError: the divisor may be zero and too large to tell from it, or the quotient is lost.
    """
    if b.kind == "number":
        value = Fraction(b.low) * Fraction(2) ** -b.fraction
        least = Fraction(EPS)
        guarded = min(value, -least) if value < 0 else max(value, least)
        return product(a, number(1 / guarded), tolerance)
    shift = BITS - a.bits
    whole = a.fraction + shift  # fractional bits of the divisor and of the quotient together
    smallest = max(EPS, math.ldexp(_least(b), -b.fraction))
    wanted = max(whole // 2, DIVISOR_BITS - math.frexp(smallest)[1])
    b = at_fraction(b, _divisor_fraction(b, wanted), math.inf)
    guard = 1 << (b.fraction - EPS_BITS) if b.fraction >= EPS_BITS else 1
    fraction = whole - b.fraction
    divisors = [b.low, b.high, *((-1, 0) if b.low < 0 <= b.high else ())]
    ends = [_divided(x, y, shift, guard) for x in (a.low, a.high) for y in divisors]
    if max(ends) - min(ends) < 1 << LEAST_BITS and a.varies and a.most / smallest > tolerance.small:
        raise LossError(
            f"would keep fewer than {LEAST_BITS} bits of the quotient; "
            "narrow the bounds of the dividend, or limit the divisor by max"
        )
    nearest = math.ldexp(max(_least(b), guard), -b.fraction)
    error, relative = _quotient_error(a, b, nearest)
    return made(
        "divide", (a, b), fraction, ends, error + quantum(fraction), relative, (shift, guard)
    )


def _quotient_error(a: Term, b: Term, nearest: float) -> tuple[float, float]:
    """Return the absolute and relative error of a quotient; |b| is at least `nearest`."""
    smallest = max(EPS, nearest - b.worst)  # of the divisor in float64
    share = 1.0 - b.relative - b.error / smallest
    relative = (a.relative + b.relative) / share if share > 0.0 else 1.0
    if not small_relative(relative):
        return a.worst / smallest + a.most * b.worst / (nearest * smallest), 0.0
    return a.error / nearest + a.most * b.error / (nearest * smallest), relative


def _divisor_fraction(b: Term, wanted: int) -> int:
    """Return the format of a divisor: no finer than it is, unless its guard asks for more."""
    chosen = min(b.fraction, wanted, FINEST)
    guarded = _least(b) >> max(b.fraction - EPS_BITS, 0) == 0
    chosen = max(chosen, EPS_BITS) if guarded else chosen
    if b.bits + chosen - b.fraction > BITS:
        raise LossError(
            "divides by what may be zero and may be larger than 2**42; limit the divisor by min"
        )
    return chosen


def _least(b: Term) -> int:
    """Return the least magnitude of a term, as an integer."""
    return 0 if b.low <= 0 <= b.high else min(abs(b.low), abs(b.high))


def _multiplied(a: Term, b: Term) -> Term:
    ends = [i * j for i in (a.low, a.high) for j in (b.low, b.high)]
    return made("multiply", (a, b), a.fraction + b.fraction, ends, *_product_error(a, b))


def _product_error(a: Term, b: Term) -> tuple[float, float]:
    """Return the absolute and relative error of a product."""
    relative = a.relative + b.relative + a.relative * b.relative
    if not small_relative(relative):
        return a.most * b.worst + b.most * a.worst, 0.0
    error = a.most * b.error * (1.0 + a.relative) + b.most * a.error * (1.0 + b.relative)
    return error + a.error * b.error, relative


def _wide(a: int, b: int, shift: int) -> int:
    found = abs(a) * abs(b) >> shift
    return -found if (a < 0) != (b < 0) else found


def _divided(a: int, b: int, shift: int, least: int) -> int:
    found = (abs(a) << shift) // max(abs(b), least)
    return -found if (a < 0) != (b < 0) else found


def at_ends(function: str, x: Term, slack: int, *parameters: int) -> list[int]:
    """Return bounds of a function of `functions` that rises but for `slack` in its last bits."""
    values = getattr(functions, function)(np.array([x.low, x.high]), *parameters)
    return [int(values[0]) - slack, int(values[1]) + slack]
