"""Equations of PySR, as it printed them, read without Julia."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.distill.equations import BINARY, UNARY, sum_of_equation
from policies.distill.sums import Sum, variable
from policies.rules.syntax import Expression, RuleError
from policies.rules.write import expression_text
from tests.distill.made_rows import NAMES, by_name, rows, value

TABLE, _ = rows(100)
COLUMNS = by_name(TABLE)
VARIABLES = {f"x{place}": variable(name) for place, name in enumerate(NAMES)}
X0, X1, X2, X3 = TABLE.T

# From PySR's README and tests, from its issues, and of the forms that its operators print.
RECORDED = [
    ("4.4324794", 4.4324794 + 0.0 * X0),
    ("(x0 * x0)", X0 * X0),
    ("((x0 * x0) + -0.28087974)", X0 * X0 - 0.28087974),
    ("(x0 + 1.4724599)", X0 + 1.4724599),
    ("x0 - -1.5e-3", X0 + 1.5e-3),
    ("((x0 * 2.0e1) / (x2 + 3.0))", 20.0 * X0 / (X2 + 3.0)),
    ("square(x0 - 0.5) * 2.0", 2.0 * (X0 - 0.5) ** 2),
    ("cube(x1)", X1**3),
    ("inv(x2)", 1.0 / X2),
    ("neg(x0)", -X0),
    ("-x0 ^ 2.0", -(X0**2)),
    ("(x0 ^ 2) ^ 1", X0**2),
    ("x2 ^ 0.5", np.sqrt(X2)),
    ("x2 ^ -1.0", 1.0 / X2),
    ("pow(x0, 3.0)", X0**3),
    ("max(x0, min(x1, 0.5))", np.maximum(X0, np.minimum(X1, 0.5))),
    ("relu(x0 + 0.1)", np.maximum(X0 + 0.1, 0.0)),
    ("greater(x0, x1)", (X0 > X1) * 1.0),
    ("(x0 > x1) * 0.3 - 0.1", (X0 > X1) * 0.3 - 0.1),
    ("x0 <= 0.25", (X0 <= 0.25) * 1.0),
    ("cond(x0, x1 * 2.0)", np.where(X0 > 0.0, 2.0 * X1, 0.0)),
    ("sign(x0) * 0.5", np.sign(X0) * 0.5),
    ("tanh(abs(x0) - exp(x1))", np.tanh(np.abs(X0) - np.exp(X1))),
    ("log(x2) * sqrt(x2)", np.log(X2) * np.sqrt(X2)),
    ("max(-1.0, min(1.0, x0 - (0.8 * (x1 * x2))))", np.clip(X0 - 0.8 * X1 * X2, -1.0, 1.0)),
    ("(((x0)))", X0),
    ("1 - 2 - x0 / 2 / 4 * 3", -1.0 - 3.0 * X0 / 8.0),
    ("- - - x0", -X0),
]


@pytest.mark.parametrize(("text", "expected"), RECORDED, ids=[text for text, _ in RECORDED])
def test_recorded_equations(text: str, expected: np.ndarray) -> None:
    found = sum_of_equation(text, VARIABLES).expression()
    assert value(found, COLUMNS) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_standardised_variables_cost_nothing_in_sums() -> None:
    shifted = {"x0": variable("loss").plus(Sum(-0.5)).divided(0.25)}
    found = sum_of_equation("(x0 * 0.5) + 2.0", shifted).expression()
    assert expression_text(found) == "2 * loss + 1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it ends too early"),
        ("x0 +", "it ends too early"),
        ("x9", "unknown variable 'x9'"),
        ("loss", "unknown variable 'loss'"),
        ("Inf", "unknown variable"),
        ("x0 x1", "'x1' is out of place"),
        ("2.0 x1", "'x1' is out of place"),
        ("(x0", "not closed"),
        ("x0)", "out of place"),
        ("max(x0 x1)", "not closed"),
        ("max(x0)", "no function 'max' of 1"),
        ("tanh(x0, x1)", "no function 'tanh' of 2"),
        ("tanh()", "a value is missing before"),
        ("cos(x0)", "no function 'cos'"),
        ("erfc(x0)", "no function 'erfc'"),
        ("pow_abs(2.2683423, cos(x3))", "no function 'cos'"),
        ("x0 ^ 2.5", "a power other than"),
        ("x0 ^ x1", "a power other than"),
        ("square(tanh(x0 + 2.0 * x1 + 1.0))", "a power of an expression"),
        ("x0 / 0.0", "division by 0"),
        ("x0 == x1", "has no meaning"),
        ("x0; x1", "has no meaning"),
        ("__import__('os')", "has no meaning"),
        ("x0.real", "has no meaning"),
        ("x0[0]", "has no meaning"),
        ("x0 < x1 < x2", "out of place"),
        ("\x00", "has no meaning"),
        ("²", "has no meaning"),
        ("(" * 100 + "x0" + ")" * 100, "nests deeper"),
        ("2 ^ " * 100 + "2", "nests deeper"),
        ("x0 + " * 5000, "characters"),
        ("tanh(" * 40 + "x0" + ")" * 40, "nests deeper"),
    ],
)
def test_what_rules_cannot_have_is_refused(text: str, message: str) -> None:
    with pytest.raises(RuleError, match=message) as raised:
        sum_of_equation(text, VARIABLES)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["1e999 * x0", "x0 / (x1 * 1e-400)", "exp(x0) * 1e200 * 1e200"])
def test_numbers_beyond_all_floats_are_refused(text: str) -> None:
    with pytest.raises(RuleError):
        sum_of_equation(text, VARIABLES).expression()


def read(text: str) -> tuple[Expression | None, str]:
    """Return what an equation says, or what is wrong with it."""
    try:
        return sum_of_equation(text, VARIABLES).expression(), ""
    except RuleError as error:
        return None, str(error)


WORDS = (*VARIABLES, *UNARY, *BINARY, "(", ")", ",", "1.5", "0", "-", "1e999", "e", "@", " ")


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join) | st.text(max_size=40))
def test_any_text_ends_in_a_sum_or_a_clear_error(text: str) -> None:
    found, problem = read(text)
    if found is None:
        assert problem
        assert "\n" not in problem
    else:
        assert np.isfinite(value(found, COLUMNS)).all()


def test_mutations_of_recorded_equations() -> None:
    luck = random.Random(1)
    for _ in range(3000):
        text = list(luck.choice(RECORDED)[0])
        for _ in range(luck.randint(1, 4)):
            place = luck.randrange(len(text) + 1)
            text[place : place + luck.randint(0, 2)] = luck.choice([*"()+-*/^<>,.e0x19", " ", ""])
        found, problem = read("".join(text))
        assert found is not None or problem
        assert "\n" not in problem
