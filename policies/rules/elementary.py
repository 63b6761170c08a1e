"""What each operation of a rule gives, to the bit: total functions of finite float64.

Every other evaluator does these additions, multiplications, divisions and square roots in this
order; IEEE 754 rounds each of them in one way only, so that all of them agree bit for bit as long
as none is contracted with another or reordered. `math.ldexp`, `math.frexp` and `math.sqrt` are
exact or correctly rounded. tanh, exp and log are not left to libraries, which differ.

- Division: a divisor nearer to zero than `EPS` counts as `EPS`, or as -`EPS` if it is below zero.
- sqrt of what is below zero is 0; log of what is below `EPS` is log(`EPS`); exp clamps its
  argument to [-40, 40].
- min and max return the second argument unless the first one is strictly smaller or larger.
- The sign of a zero never decides anything, and a result of -0.0 is given out as 0.0.

Methods: exp and tanh by argument reduction with ln 2 in two parts (Cody and Waite, "Software
Manual for the Elementary Functions", 1980) and the Taylor polynomial of exp(r) - 1; log by the
series of 2 artanh(f / (2 + f)). Against exact values exp and log are wrong by less than 1 ulp, and
tanh by less than 2.5 ulp (tests/rules/test_elementary.py).

The functions that compiled code shares with Python are in the subset that both understand.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

EPS = 2.0**-20
"""Least magnitude of a divisor, and least argument of log."""
MOST_EXP = 40.0
"""Largest magnitude of the argument of exp."""
MOST_TANH = 20.0
"""Beyond this tanh is 1."""

LOG2E = 1.4426950408889634
LN2_HIGH = 0.6931471803691238
"""ln 2 with the last 21 bits zero: its products with exponents are exact."""
LN2_LOW = 1.9082149292705877e-10
"""ln 2 - LN2_HIGH."""
SQRT_HALF = 0.7071067811865476
EXP_TERMS = tuple(1.0 / math.factorial(n) for n in range(14, 1, -1))
"""Taylor coefficients of (exp(r) - 1 - r) / r**2, highest power first; the next is below 2**-62."""
LOG_TERMS = tuple(2.0 / (2 * n + 1) for n in range(10, 0, -1))
"""Coefficients of (log((1 + s) / (1 - s)) - 2 s) / s**3 in s**2, highest power first."""


def clamped(x: float, low: float, high: float) -> float:
    """Return x within [low, high]; NaN counts as `low`."""
    if x >= low:
        return high if x > high else x
    return low


def divide(a: float, b: float) -> float:
    """Return a / b with a divisor of at least `EPS` in magnitude."""
    if b < 0.0:
        return a / (b if b < -EPS else -EPS)
    return a / (b if b > EPS else EPS)


def smaller(a: float, b: float) -> float:
    """Return min(a, b)."""
    return a if a < b else b


def larger(a: float, b: float) -> float:
    """Return max(a, b)."""
    return a if a > b else b


def root(x: float) -> float:
    """Return sqrt(max(x, 0))."""
    return math.sqrt(x) if x > 0.0 else 0.0


def reduced(x: float) -> tuple[int, float]:
    """Return (k, p) with exp(x) = 2**k * (1 + p), |p| < 0.42; x is clamped for exp."""
    x = x if x > -MOST_EXP else -MOST_EXP
    x = x if x < MOST_EXP else MOST_EXP
    k = int(x * LOG2E + 64.5) - 64  # to the nearest: truncation of what is above zero
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    q = 0.0
    for term in EXP_TERMS:
        q = q * r + term
    return k, r + (r * r) * q


def exp(x: float) -> float:
    """Return the exponential of x, which is clamped to [-40, 40]."""
    k, p = reduced(x)
    return math.ldexp(1.0 + p, k)


def tanh(x: float) -> float:
    """Return the hyperbolic tangent of x.

    Computed as m / (m + 2) with m = exp(2 |x|) - 1, so that small x stay precise.
    """
    a = abs(x)
    a = a if a < MOST_TANH else MOST_TANH
    k, p = reduced(2.0 * a)
    m = math.ldexp(p, k) + (math.ldexp(1.0, k) - 1.0)
    t = m / (m + 2.0)
    return -t if x < 0.0 else t


def log(x: float) -> float:
    """Return the natural logarithm of x, or of `EPS` if that is larger.

    With x = 2**k (1 + f) and s = f / (2 + f) it is k ln 2 + f - s (f - s**2 (...)).
    """
    m, k = math.frexp(x if x > EPS else EPS)
    if m < SQRT_HALF:
        m = m + m
        k = k - 1
    f = m - 1.0
    s = f / (f + 2.0)
    z = s * s
    q = 0.0
    for term in LOG_TERMS:
        q = q * z + term
    return k * LN2_HIGH - ((s * (f - z * q) - k * LN2_LOW) - f)


UNARY: dict[str, Callable[[float], float]] = {
    "-": operator.neg,
    "abs": abs,
    "sqrt": root,
    "tanh": tanh,
    "exp": exp,
    "log": log,
}
BINARY: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": divide,
    "min": smaller,
    "max": larger,
}
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
