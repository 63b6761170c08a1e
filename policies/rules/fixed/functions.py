"""exp, log, tanh, square root, and products and quotients of 64 bits, on integers.

NumPy's side of what `c_arithmetic` has in C, to the bit. Where the method is not exact its error is
stated, and tests/rules/fixed/test_functions.py computes it anew.

- exp: x = k ln 2 + r, then a polynomial of degree 7 in r; log: x = 2**k (1 + f) with 1 + f from
  sqrt(1/2) to sqrt(2), then one of degree 11 in f. The coefficients, of 30 fractional bits, are of
  Chebyshev interpolation of g in exp(r) = 1 + r g(r) and log(1 + f) = f g(f). Neither divides.
- tanh: (1 - e) / (1 + e) with e = exp(-2 |x|): one division.
- The square root is the largest integer whose square is no more.
- Products of more than 63 bits by their halves of 32 bits, as no 128-bit multiplication is
  assumed (Warren, "Hacker's Delight", 2nd ed., 2012, section 8-2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]
Unsigned = NDArray[np.uint64]

ARGUMENT_BITS = 40
"""Fractional bits of what exp and tanh take, and of what log gives."""
TANH_BITS = 31
"""Fractional bits of what tanh gives."""
EXP_BITS = 61
"""exp of what is at most `top` ln 2 has so many fractional bits less `top`."""
EXP_ERROR = 2.0**-28
"""Relative error of exp, but for the rounding of its last bit."""
LOG_ERROR = 2.0**-28
"""Absolute error of log."""
TANH_ERROR = 2.0**-28
"""Absolute error of tanh."""

LN2 = 762123384786
"""ln 2, 40 fractional bits."""
LOG2E = 1549082005
"""1 / ln 2, 30 fractional bits."""
SQRT_TWO = 3037000500
"""sqrt(2), 31 fractional bits."""
EXP_TERMS = (213756, 1496916, 8947795, 44738906, 178956972, 536870917, 1 << 30)
"""Coefficients of g with exp(r) = 1 + r g(r) for |r| <= ln 2 / 2, highest power first."""
LOG_TERMS = (
    *(72372695, -125920163, 128032180, -133135620, 152606711, -178971740),
    *(214776033, -268435710, 357913600, -536870909, 1073741825),
)
"""Coefficients of g with log(1 + f) = f g(f), highest power first."""

_U = np.uint64
_LOW_HALF = _U(0xFFFFFFFF)


def exponent(x: int) -> int:
    """Return k, the whole number nearest to x / ln 2; x has `ARGUMENT_BITS`."""
    return ((x >> 16) * LOG2E + (1 << 53)) >> 54


def exp(x: Array, top: int) -> Array:
    """Return the exponential of x with `EXP_BITS` - top fractional bits.

    Args:
        x: int64 with `ARGUMENT_BITS` fractional bits, within 40 of zero.
        top: at least `exponent` of every x.
    """
    k = ((x >> 16) * LOG2E + (1 << 53)) >> 54
    r = (x - k * LN2 + 512) >> 10
    p = np.full_like(r, EXP_TERMS[0])
    for term in (*EXP_TERMS[1:], 1 << 30):
        p = ((p * r + (1 << 29)) >> 30) + term
    shift = np.minimum(top - k, 63).astype(np.uint64)
    half = (_U(1) << shift) >> _U(1)
    return (((p.astype(np.uint64) << _U(31)) + half) >> shift).astype(np.int64)


def tanh(x: Array) -> Array:
    """Return the hyperbolic tangent of x with `TANH_BITS`.

    Args:
        x: int64 with `ARGUMENT_BITS` fractional bits, within 20 of zero.
    """
    e = exp(-2 * np.abs(x), EXP_BITS - TANH_BITS)
    one = 1 << TANH_BITS
    t = (((one - e) << TANH_BITS).astype(np.uint64) // (one + e).astype(np.uint64)).astype(np.int64)
    return np.where(x < 0, -t, t)


def log(x: Array, fraction: int) -> Array:
    """Return the natural logarithm of x with `ARGUMENT_BITS`.

    Args:
        x: int64 above zero.
        fraction: fractional bits of x.
    """
    m = x.astype(np.uint64)
    k = np.full_like(x, 63 - fraction)
    for step in (32, 16, 8, 4, 2, 1):
        small = (m >> _U(64 - step)) == _U(0)
        m = np.where(small, m << _U(step), m)
        k = np.where(small, k - step, k)
    f = (m >> _U(32)).astype(np.int64)  # 1 to 2, 31 fractional bits
    large = f > SQRT_TWO
    f = np.where(large, f >> 1, f) - (1 << 31)
    k = np.where(large, k + 1, k)
    q = np.full_like(f, LOG_TERMS[0])
    for term in LOG_TERMS[1:]:
        q = ((q * f + (1 << 30)) >> 31) + term
    return k * LN2 + ((q * f + (1 << 20)) >> 21)


def root(x: Array) -> Array:
    """Return the square root of 0 to 2**62, rounded down."""
    r = np.sqrt(x.astype(np.float64)).astype(np.int64)
    r = r - (r * r > x)
    return r + ((r + 1) * (r + 1) <= x)


def wide(a: Array, b: Array, shift: int) -> Array:
    """Return a b / 2**shift, rounded towards zero; magnitudes up to 2**62, shift 1 to 63."""
    x, y = np.abs(a).astype(np.uint64), np.abs(b).astype(np.uint64)
    half = _U(32)
    x_high, x_low, y_high, y_low = x >> half, x & _LOW_HALF, y >> half, y & _LOW_HALF
    low, left, right = x_low * y_low, x_high * y_low, x_low * y_high
    middle = (low >> half) + (left & _LOW_HALF) + (right & _LOW_HALF)
    high = x_high * y_high + (left >> half) + (right >> half) + (middle >> half)
    low = (middle << half) | (low & _LOW_HALF)
    product = ((high << _U(64 - shift)) | (low >> _U(shift))).astype(np.int64)
    return np.where((a < 0) != (b < 0), -product, product)


def divide(a: Array, b: Array, shift: int, least: int) -> Array:
    """Return a 2**shift / b, rounded towards zero; below `least` in magnitude b counts as that.

    A divisor of 0 is above zero. |a| 2**shift must be below 2**63.
    """
    x, y = np.abs(a).astype(np.uint64) << _U(shift), np.abs(b).astype(np.uint64)
    quotient = (x // np.maximum(y, _U(least))).astype(np.int64)
    return np.where((a < 0) != (b < 0), -quotient, quotient)
