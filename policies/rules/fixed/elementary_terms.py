"""exp, log, tanh and square root as terms: the formats of `functions`, bounds, and error."""

from __future__ import annotations

import math

from policies.rules.elementary import EPS, MOST_EXP, MOST_TANH
from policies.rules.fixed import functions
from policies.rules.fixed.functions import ARGUMENT_BITS, EXP_BITS, TANH_BITS
from policies.rules.fixed.operations import EPS_BITS, FINEST, at_ends
from policies.rules.fixed.terms import (
    BITS,
    LossError,
    Term,
    at_fraction,
    clamped,
    fitted,
    made,
    quantum,
    small_relative,
)


def tanh(x: Term) -> Term:
    """Return the hyperbolic tangent of x."""
    x = fitted(x, ARGUMENT_BITS, -MOST_TANH, MOST_TANH)
    slack = math.ceil(math.ldexp(2.0 * functions.TANH_ERROR, TANH_BITS))
    one = 1 << TANH_BITS
    ends = [min(max(n, -one), one) for n in at_ends("tanh", x, slack)]
    return made("tanh", (x,), TANH_BITS, ends, min(x.worst, 2.0) + functions.TANH_ERROR)


def exp(x: Term, limit: float) -> Term:
    """Return the exponential of x, which is brought into [-40, `limit`]."""
    x = fitted(x, ARGUMENT_BITS, -MOST_EXP, limit)
    top = functions.exponent(x.high)
    fraction = EXP_BITS - top
    low, high = at_ends("exp", x, 2, top)
    slack = math.ceil(2.0 * functions.EXP_ERROR * high)
    ends = max(low - slack, 0), high + slack
    relative = math.expm1(min(x.worst, 1.0)) * (1.0 + functions.EXP_ERROR) + functions.EXP_ERROR
    if small_relative(relative):
        return made("exp", (x,), fraction, ends, quantum(fraction), relative, (top,))
    most = math.exp(min(math.ldexp(x.high, -ARGUMENT_BITS) + x.worst, limit))
    error = most * (-math.expm1(-x.worst) + functions.EXP_ERROR) + quantum(fraction)
    return made("exp", (x,), fraction, ends, error, 0.0, (top,))


def log(x: Term) -> Term:
    """Return the natural logarithm of x, or that of `EPS` if x is less.

    Raises:
        LossError: x may be less than `EPS` and too large to tell.
    """
    if x.fraction < EPS_BITS and x.low <= 0:
        if x.bits + EPS_BITS - x.fraction > BITS:
            raise LossError("takes log of what may be zero and may exceed 2**42; limit it by min")
        x = at_fraction(x, EPS_BITS)
    x = at_fraction(x, min(x.fraction, FINEST), math.inf)
    least = max(1, math.ceil(math.ldexp(EPS, x.fraction)))
    x = clamped(x, least, max(least, x.high))
    slack = math.ceil(math.ldexp(2.0 * functions.LOG_ERROR, ARGUMENT_BITS))
    ends = at_ends("log", x, slack, x.fraction)
    smallest = max(EPS, math.ldexp(x.low, -x.fraction) - x.worst)
    share = x.relative + x.error / smallest
    error = -math.log1p(-share) if share < 0.5 else x.worst / smallest
    return made("log", (x,), ARGUMENT_BITS, ends, error + functions.LOG_ERROR, 0.0, (x.fraction,))


def root(x: Term) -> Term:
    """Return the square root of x, or 0 if x is less."""
    x = clamped(x, 0, max(x.high, 0))
    fraction = x.fraction + BITS - x.bits
    fraction -= fraction % 2
    x = at_fraction(x, fraction)
    low = math.ldexp(x.low, -fraction)
    smallest = math.sqrt(low) + math.sqrt(max(low - x.worst, 0.0))
    error = min(math.sqrt(x.worst), x.worst / smallest if smallest > 0.0 else math.inf)
    ends = math.isqrt(x.low), math.isqrt(x.high)
    return made("root", (x,), fraction // 2, ends, error + quantum(fraction // 2))
