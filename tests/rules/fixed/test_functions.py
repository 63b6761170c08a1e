"""The integer functions keep their stated errors, against float64's own functions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from policies.rules.fixed import functions
from policies.rules.fixed.functions import ARGUMENT_BITS, EXP_BITS, TANH_BITS

RNG = np.random.default_rng(2)
GRID = np.linspace(-40.0, 40.0, 400_001)


def arguments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return integers with `ARGUMENT_BITS`, and what they stand for."""
    raw = np.rint(np.ldexp(values, ARGUMENT_BITS)).astype(np.int64)
    return raw, np.ldexp(raw.astype(np.float64), -ARGUMENT_BITS)


def test_exp_errs_less_than_stated():
    raw, x = arguments(np.concatenate([GRID, RNG.uniform(-3.0, 3.0, 200_000), [0.0, -40.0, 40.0]]))
    top = functions.exponent(int(raw.max()))
    for shift in (top, 30):
        use = x <= shift * math.log(2.0)
        found = np.ldexp(functions.exp(raw[use], shift).astype(np.float64), shift - EXP_BITS)
        allowed = functions.EXP_ERROR * np.exp(x[use]) + math.ldexp(0.5, shift - EXP_BITS)
        assert (np.abs(found - np.exp(x[use])) <= allowed).all()


def test_exp_of_zero_is_one():
    assert functions.exp(np.array([0]), 0).tolist() == [1 << EXP_BITS]


def test_log_errs_less_than_stated():
    raw = np.concatenate([
        np.arange(1, 200_000),
        RNG.integers(1, 1 << 62, 200_000),
        RNG.integers(1, 1 << 62, 200_000) >> RNG.integers(0, 62, 200_000),
        [(1 << 62) - 1, 1 << 40, (1 << 40) + 1, (1 << 40) - 1],
    ])  # fmt: skip
    raw = raw[raw > 0]
    for fraction in (0, 40, 80, -7):
        found = np.ldexp(functions.log(raw, fraction).astype(np.float64), -ARGUMENT_BITS)
        exact = np.log(raw.astype(np.float64)) - fraction * math.log(2.0)
        assert (np.abs(found - exact) <= functions.LOG_ERROR).all()


def test_tanh_errs_less_than_stated_and_is_odd():
    raw, x = arguments(np.concatenate([GRID / 2.0, RNG.normal(0.0, 1.0, 300_000), [1e-9, 0.0]]))
    raw, x = raw[np.abs(x) <= 20.0], x[np.abs(x) <= 20.0]
    found = functions.tanh(raw)
    error = np.abs(np.ldexp(found.astype(np.float64), -TANH_BITS) - np.tanh(x))
    assert (error <= functions.TANH_ERROR).all()
    assert np.array_equal(functions.tanh(-raw), -found)
    assert np.abs(found).max() == 1 << TANH_BITS


def test_root_is_the_largest_whose_square_is_no_more():
    squares = RNG.integers(0, 1 << 31, 2000) ** 2
    some = np.concatenate([np.arange(1000), squares, squares - 1, RNG.integers(0, 1 << 62, 2000)])
    some = some[some >= 0]
    assert functions.root(some).tolist() == [math.isqrt(x) for x in some.tolist()]


@pytest.mark.parametrize("shift", [1, 17, 31, 32, 33, 62])
def test_wide_products_are_those_of_whole_numbers(shift):
    bits = RNG.integers(1, 62, (2, 3000))
    a, b = RNG.integers(-(1 << 62), 1 << 62, (2, 3000)) >> bits
    edge = np.array([0, 1, -1, (1 << 62) - 1, -(1 << 62) + 1])
    a, b = np.concatenate([a, np.repeat(edge, 5)]), np.concatenate([b, np.tile(edge, 5)])
    pairs = list(zip(a.tolist(), b.tolist(), strict=True))
    exact = [(abs(x * y) >> shift) * (1 if (x < 0) == (y < 0) else -1) for x, y in pairs]
    fits = np.array([abs(x) < 1 << 62 for x in exact])
    assert np.array_equal(functions.wide(a, b, shift)[fits], np.array([*exact], object)[fits])


def test_quotients_are_guarded_and_cut():
    a, b = np.array([7, -7, 7, 7, -7, 0]), np.array([2, 2, 0, -1, -3, 5])
    assert functions.divide(a, b, 3, 2).tolist() == [28, -28, 28, -28, 18, 0]
