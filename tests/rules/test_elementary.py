"""exp, log and tanh against decimal arithmetic of 40 digits, and what they are never to do."""

from __future__ import annotations

import math
import struct
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.rules import elementary as e
from policies.rules.intervals import MARGIN

FINITE = st.floats(-1e100, 1e100)


def exact(name: str, x: float) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        value = Decimal(x)
        if name == "log":
            return value.ln()
        if name == "exp":
            return value.exp()
        if abs(x) < 1e-9:  # where exp(2 x) - 1 would cancel
            return value - value**3 / 3
        twice = (2 * value).exp()
        return (twice - 1) / (twice + 1)


def error_ulp(name: str, x: float) -> float:
    found, true = e.UNARY[name](x), exact(name, x)
    return abs(float((Decimal(found) - true) / Decimal(math.ulp(float(true)))))


@pytest.mark.parametrize(
    ("name", "most_ulp", "low", "high"),
    [
        ("exp", 1.0, -40.0, 40.0),
        ("exp", 1.0, -1.0, 1.0),
        ("exp", 1.0, -1e-6, 1e-6),
        ("log", 1.0, 2.0**-20, 4.0),
        ("log", 1.0, 1.0 - 1e-6, 1.0 + 1e-6),
        ("log", 1.0, 1.0, 1e100),
        ("tanh", 2.5, -22.0, 22.0),
        ("tanh", 2.5, -1.0, 1.0),
        ("tanh", 2.5, -1e-6, 1e-6),
        ("tanh", 2.5, -1e-200, 1e-200),
    ],
)
def test_errors_are_as_stated(name, most_ulp, low, high):
    rng = np.random.default_rng(3)
    xs = rng.uniform(low, high, 1500)
    assert max(error_ulp(name, x) for x in xs.tolist()) < most_ulp


@pytest.mark.parametrize("name", ["exp", "log", "tanh"])
def test_errors_where_the_reduction_changes_step(name):
    steps = [(k + 0.5) * math.log(2.0) * (0.5 if name == "tanh" else 1.0) for k in range(-57, 57)]
    if name == "log":
        steps = [math.ldexp(e.SQRT_HALF, k) for k in range(-19, 300)]
    near = [x * (1.0 + j * 2.0**-52) for x in steps for j in (-2, -1, 0, 1, 2)]
    assert max(error_ulp(name, x) for x in near) < 2.5


def test_the_parts_of_ln_2():
    assert Fraction(e.LN2_HIGH).denominator <= 2**32  # so that k * LN2_HIGH is exact
    with localcontext() as context:
        context.prec = 60
        total = Decimal(e.LN2_HIGH) + Decimal(e.LN2_LOW)
        assert abs(total - Decimal(2).ln()) <= Decimal(2) ** -86
    (word,) = struct.unpack("<Q", struct.pack("<d", e.LN2_HIGH))
    assert word % 2**21 == 0
    assert math.log2(math.e) == e.LOG2E
    assert math.sqrt(0.5) == pytest.approx(e.SQRT_HALF, rel=2.0**-52)


@pytest.mark.parametrize("name", ["exp", "log", "tanh"])
@given(x=FINITE, step=st.integers(0, 2**62), y=FINITE)
def test_monotone_but_for_the_last_bits(name, x, step, y):
    other = y if step % 2 else x + math.ulp(x) * (step % 64)
    low, high = sorted((x, other))
    a, b = e.UNARY[name](low), e.UNARY[name](high)
    assert a <= b + MARGIN / 4.0 * abs(b)


@given(x=FINITE)
def test_symmetry_and_ranges(x):
    assert e.tanh(-x) == -e.tanh(x)
    assert -1.0 <= e.tanh(x) <= 1.0
    assert math.exp(-40.0) * (1 - 1e-15) <= e.exp(x) <= math.exp(40.0) * (1 + 1e-15)
    assert math.log(2.0**-20) * (1 + 1e-15) <= e.log(x) <= math.log(1e100) * (1 + 1e-15)


def test_values_that_are_exact():
    assert e.exp(0.0) == 1.0
    assert e.log(1.0) == 0.0
    assert e.tanh(0.0) == 0.0
    assert e.tanh(20.0) == e.tanh(1e100) == 1.0
    assert e.tanh(5e-324) == 5e-324
    assert e.tanh(1e-300) == 1e-300


@given(a=FINITE, b=FINITE)
def test_division_is_total_and_plain_away_from_zero(a, b):
    found = e.divide(a, b)
    assert math.isfinite(found)
    if abs(b) >= e.EPS:
        assert found == a / b
    else:
        assert found == (a * -(2.0**20) if b < 0.0 else a * 2.0**20)
    assert e.divide(a, -b) == -found or b == 0.0


@given(a=FINITE, b=FINITE)
def test_min_max_root(a, b):
    assert e.smaller(a, b) == min(a, b)
    assert e.larger(a, b) == max(a, b)
    assert e.root(a) == (math.sqrt(a) if a > 0.0 else 0.0)


@given(x=st.floats(), low=st.floats(-1e3, 1e3), width=st.floats(0.5, 1e3))
def test_clamping(x, low, width):
    found = e.clamped(x, low, low + width)
    assert low <= found <= low + width
    if low <= x <= low + width:
        assert found == x
    if math.isnan(x):
        assert found == low
