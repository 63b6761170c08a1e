"""The operations of `elementary` on NumPy arrays: the same steps, so the same bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from policies.rules.elementary import (
    EPS,
    EXP_TERMS,
    LN2_HIGH,
    LN2_LOW,
    LOG2E,
    LOG_TERMS,
    MOST_EXP,
    MOST_TANH,
    SQRT_HALF,
)

Array = NDArray[np.float64]


def clamped(x: Array, low: float, high: float) -> Array:
    """Return x within [low, high]; NaN counts as `low`."""
    with np.errstate(invalid="ignore"):  # comparisons with a signalling NaN
        return np.where(x >= low, np.where(x > high, high, x), low)


def divide(a: Array, b: Array) -> Array:
    """Return a / b with divisors of at least `EPS` in magnitude."""
    below = np.where(b < -EPS, b, -EPS)
    above = np.where(b > EPS, b, EPS)
    return a / np.where(b < 0.0, below, above)


def smaller(a: Array, b: Array) -> Array:
    """Return min(a, b)."""
    return np.where(a < b, a, b)


def larger(a: Array, b: Array) -> Array:
    """Return max(a, b)."""
    return np.where(a > b, a, b)


def root(x: Array) -> Array:
    """Return sqrt(max(x, 0))."""
    return np.sqrt(np.where(x > 0.0, x, 0.0))


def reduced(x: Array) -> tuple[NDArray[np.intc], Array]:
    """Return (k, p) with exp(x) = 2**k * (1 + p); x is clamped for exp."""
    x = np.where(x > -MOST_EXP, x, -MOST_EXP)
    x = np.where(x < MOST_EXP, x, MOST_EXP)
    k = (x * LOG2E + 64.5).astype(np.intc) - np.intc(64)
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    q = np.zeros_like(r)
    for term in EXP_TERMS:
        q = q * r + term
    return k, r + (r * r) * q


def exp(x: Array) -> Array:
    """Return the exponential of x, which is clamped to [-40, 40]."""
    k, p = reduced(x)
    return np.ldexp(1.0 + p, k)


def tanh(x: Array) -> Array:
    """Return the hyperbolic tangent of x."""
    a = np.abs(x)
    k, p = reduced(2.0 * np.where(a < MOST_TANH, a, MOST_TANH))
    m = np.ldexp(p, k) + (np.ldexp(np.ones_like(p), k) - 1.0)
    t = m / (m + 2.0)
    return np.where(x < 0.0, -t, t)


def log(x: Array) -> Array:
    """Return the natural logarithm of x, or of `EPS` if that is larger."""
    m, k = np.frexp(np.where(x > EPS, x, EPS))
    small = m < SQRT_HALF
    m = np.where(small, m + m, m)
    k = np.where(small, k - 1, k)
    f = m - 1.0
    s = f / (f + 2.0)
    z = s * s
    q = np.zeros_like(z)
    for term in LOG_TERMS:
        q = q * z + term
    return k * LN2_HIGH - ((s * (f - z * q) - k * LN2_LOW) - f)


UNARY: dict[str, Callable[[Array], Array]] = {
    "-": np.negative,
    "abs": np.abs,
    "sqrt": root,
    "tanh": tanh,
    "exp": exp,
    "log": log,
}
BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": divide,
    "min": smaller,
    "max": larger,
}
COMPARE: dict[str, Callable[[Array, Array], NDArray[np.bool_]]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
