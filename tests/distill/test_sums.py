"""Sums keep the value of what they are made of, and cost fewer operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.distill.sums import BINARY, Sum, chosen, power, unary, variable
from policies.rules.count import worst_path
from policies.rules.syntax import RuleError, walk
from policies.rules.write import expression_text
from tests.distill.made_rows import NAMES, Values, by_name, rows, value

TABLE, _ = rows(200)
COLUMNS = by_name(TABLE)
A, B, C, D = (variable(name) for name in NAMES)
PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "min": np.minimum,
    "max": np.maximum,
}
WEIGHTS = st.floats(-5.0, 5.0).filter(lambda w: abs(w) > 0.01)


class Pair(NamedTuple):
    """A sum, and what it must be: its value, computed plainly, and the operations of doing so.

    `size` bounds how far rounding anywhere on the way may matter.
    """

    sum: Sum
    value: Values
    cost: int
    size: float

    @property
    def near(self) -> float:
        return 1e-13 * (1.0 + self.size)


@st.composite
def pairs(draw: Any, depth: int = 4) -> Pair:
    """Draw a sum beside what it must be, both put together in the same steps."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        if draw(st.booleans()):
            constant = draw(WEIGHTS)
            return Pair(Sum(constant), np.full(len(TABLE), constant), 0, abs(constant))
        weight, shift, name = draw(WEIGHTS), draw(WEIGHTS), draw(st.sampled_from(NAMES))
        shifted = variable(name).plus(Sum(shift), -1.0)
        return Pair(shifted.scaled(weight), (COLUMNS[name] - shift) * weight, 2, 40.0)
    kind = draw(st.sampled_from((*PLAIN, "tanh", "abs", "square")))
    x = draw(pairs(depth=depth - 1))
    if kind == "tanh":
        return Pair(unary("tanh", x.sum), np.tanh(x.value), x.cost + 1, x.size + 1.0)
    if kind == "abs":
        return Pair(unary("abs", x.sum), np.abs(x.value), x.cost + 1, x.size)
    if kind == "square":
        try:
            return Pair(power(x.sum, 2), x.value**2, 2 * x.cost + 1, x.size**2)
        except RuleError:  # too costly to be written twice
            return x
    y = draw(pairs(depth=depth - 1))
    size = x.size * y.size if kind == "*" else x.size + y.size
    if kind == "/":  # away from where a guard acts
        divisor, by = unary("abs", y.sum).plus(Sum(0.5)), np.abs(y.value) + 0.5
        y, size = Pair(divisor, by, y.cost + 2, y.size), 2.0 * x.size + 4.0 * x.size * y.size
    cost = x.cost + y.cost + 1
    return Pair(BINARY[kind](x.sum, y.sum), PLAIN[kind](x.value, y.value), cost, size)


small_pairs = pairs().filter(lambda pair: pair.size < 1e8)


@settings(deadline=None, max_examples=150)
@given(small_pairs)
def test_a_sum_keeps_the_value_and_never_costs_more(pair: Pair) -> None:
    expression = pair.sum.expression()
    assert value(expression, COLUMNS) == pytest.approx(pair.value, rel=1e-9, abs=pair.near)
    assert worst_path(expression) <= pair.cost


@settings(deadline=None, max_examples=60)
@given(small_pairs, small_pairs, WEIGHTS)
def test_sums_obey_the_rules_of_arithmetic(x: Pair, y: Pair, factor: float) -> None:
    cases = [
        (x.sum.plus(y.sum), x.value + y.value),
        (x.sum.plus(y.sum, -1.0), x.value - y.value),
        (x.sum.plus(x.sum, -1.0), 0.0 * x.value),
        (x.sum.scaled(factor), factor * x.value),
        (x.sum.divided(factor), x.value / factor),
    ]
    near = 100.0 * (x.near + y.near)
    for found, expected in cases:
        assert value(found.expression(), COLUMNS) == pytest.approx(expected, rel=1e-9, abs=near)
    if x.sum.weights:
        weight, part = x.sum.factored()
        assert weight * value(part, COLUMNS) == pytest.approx(x.value, rel=1e-9, abs=near)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Sum(), "0"),
        (Sum(-2.5), "-2.5"),
        (A, "latency_inflation"),
        (A.scaled(-1.0), "-latency_inflation"),
        (A.scaled(2.0).plus(B), "2 * latency_inflation + loss"),
        (B.scaled(-2.0).plus(A, -3.0), "-2 * loss - 3 * latency_inflation"),
        (B.scaled(-2.0).plus(Sum(1.5)), "1.5 - 2 * loss"),
        (B.scaled(-2.0).plus(Sum(-1.5)), "-1.5 - 2 * loss"),
        (B.plus(Sum(-1.5)), "loss - 1.5"),
        (B.plus(C).plus(B), "2 * loss + send_ratio"),
        (B.plus(C).plus(B, -1.0), "send_ratio"),
        (B.scaled(0.0), "0"),
        (A.scaled(2.0).times(B.scaled(3.0)), "6 * (latency_inflation * loss)"),
        (A.times(Sum(4.0)).over(Sum(8.0)), "0.5 * latency_inflation"),
        (Sum(6.0).over(B.scaled(2.0)), "3 / loss"),
        (Sum(6.0).over(B).scaled(0.5), "3 / loss"),
        (A.scaled(3.0).over(B.scaled(2.0)), "1.5 * (latency_inflation / loss)"),
        (
            B.plus(Sum(-0.5)).scaled(2.0).times(C.plus(Sum(-1.0)).scaled(4.0)),
            "8 * ((loss - 0.5) * (send_ratio - 1))",
        ),
        (unary("abs", B.scaled(-3.0)), "3 * abs(loss)"),
        (unary("tanh", Sum(0.0)), "0"),
        (unary("tanh", B.scaled(2.0)).scaled(3.0), "3 * tanh(2 * loss)"),
        (chosen("max", A, Sum(0.0)), "max(latency_inflation, 0)"),
        (chosen("min", Sum(2.0), Sum(1.0)), "1"),
        (power(B.scaled(2.0), 2), "4 * (loss * loss)"),
        (power(Sum(3.0), 3), "27"),
        (
            A.plus(B).plus(C).plus(D).plus(Sum(1.0)),
            "latency_inflation + loss + send_ratio + (throughput_ratio + 1)",
        ),
    ],
)
def test_by_hand(found: Sum, text: str) -> None:
    assert expression_text(found.expression()) == text


def test_long_sums_are_balanced() -> None:
    total = Sum(1.0)
    for place in range(200):
        total = total.plus(unary("tanh", A.plus(Sum(float(place)))), -1.0 if place % 3 else 1.0)
    expression = total.expression()
    assert expression.depth <= 13
    assert sum(1 for _ in walk(expression)) < 2000


@pytest.mark.parametrize(
    "make",
    [
        lambda: A.over(Sum(0.0)),
        lambda: A.over(Sum(1e-9)),
        lambda: Sum(1.0).over(Sum(1e-9)),
        lambda: A.divided(0.0),
        lambda: A.scaled(math.inf).expression(),
        lambda: A.scaled(math.nan).expression(),
        lambda: A.plus(Sum(math.nan)).expression(),
        lambda: A.scaled(1e300).times(B.scaled(1e300)).expression(),
        lambda: A.plus(B.scaled(math.inf)).times(C).expression(),
        lambda: power(unary("tanh", A.plus(B.scaled(2.0))), 2),
    ],
)
def test_what_no_rule_can_be_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(RuleError):
        make()
