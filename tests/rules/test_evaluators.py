"""Python, NumPy, the stack machine and C give the same bits, on whatever they are given."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings

from policies.rules import arrays, elementary, machine
from policies.rules.evaluate import evaluate, evaluate_many
from policies.rules.parse import parse_rule
from policies.rules.rule import Rule
from policies.rules.syntax import Input, Number
from tests.rules.compiled import by_c, by_machine
from tests.rules.random_rules import (
    INPUTS,
    bits,
    columns,
    inputs_of,
    many_inputs,
    many_rules,
    rules,
)

FIXED = """\
triptych-rule 1
name fixed
action [-1, 1]
input ratio [-2, 3]
input loss [0, 1]
input rate [1, 1e6]
input slope [-1e3, 0.001]

if loss <= 0.031
then 0.5 * tanh(1.25 - ratio) + loss / slope
else if ratio * slope < log(rate) - 7 then
  max(-0.75, 1 - exp(ratio) / sqrt(rate)) * abs(slope)
else min(0.9, tanh(slope + 0.3) / (ratio - loss))
"""


EXTENSIVE = pytest.mark.extensive


def by_python(rule: Rule, rows: np.ndarray) -> np.ndarray:
    names = [i.name for i in rule.inputs]
    return np.array([evaluate(rule, dict(zip(names, r, strict=True))) for r in rows.tolist()])


@settings(deadline=None, max_examples=100)
@given(rules(), inputs_of())
def test_python_and_numpy_agree_and_stay_within_the_action(rule, inputs):
    value = evaluate(rule, inputs)
    assert rule.low <= value <= rule.high
    many = evaluate_many(rule, {name: [x, x] for name, x in inputs.items()})
    assert bits(many).tolist() == bits([value, value]).tolist()


@pytest.mark.parametrize(
    "flags",
    [
        ("-march=native",),
        pytest.param(("-O0",), marks=EXTENSIVE),
        pytest.param(("-O3", "-march=native"), marks=EXTENSIVE),
    ],
)
def test_random_rules_agree_everywhere(flags, tmp_path):
    some = many_rules(100, seed=17)
    rows = many_inputs(np.random.default_rng(5), 300)
    for rule, actions in zip(some, by_c(tmp_path, some, rows, *flags), strict=True):
        expected = bits(by_python(rule, rows))
        for found in (evaluate_many(rule, columns(rows)), by_machine(rule, rows), actions):
            assert np.array_equal(bits(found), expected), rule
        assert np.isfinite(actions).all()


@EXTENSIVE
def test_a_million_inputs_agree_everywhere(tmp_path):
    rule = parse_rule(FIXED)
    assert rule.inputs == INPUTS
    rows = many_inputs(np.random.default_rng(1), 1_000_000)
    assert np.isnan(rows).any()
    assert np.isinf(rows).any()
    (by_compiler,) = by_c(tmp_path, [rule], rows, "-march=native")
    expected = bits(by_compiler)
    assert len(np.unique(expected)) > 100_000
    for found in (evaluate_many(rule, columns(rows)), by_machine(rule, rows)):
        assert np.array_equal(bits(found), expected)
    assert np.array_equal(bits(by_python(rule, rows)), expected)


@pytest.mark.parametrize("name", ["exp", "log", "tanh"])
def test_functions_agree_on_their_own(name):
    rng = np.random.default_rng(11)
    x = np.concatenate([rng.normal(0.0, 15.0, 20_000), many_inputs(rng, 20_000)[:, 0]])
    x = x[np.isfinite(x)]
    x = np.where(np.abs(x) > 1e100, 1.0, x)
    scalar = [elementary.UNARY[name](v) for v in x.tolist()]
    compiled = [getattr(machine, name)(v) for v in x.tolist()]
    assert np.array_equal(bits(arrays.UNARY[name](x)), bits(scalar))
    assert np.array_equal(bits(compiled), bits(scalar))


def test_inputs_are_clamped_and_nan_is_the_low_bound():
    rule = parse_rule(
        "triptych-rule 1\nname x\naction [-10, 10]\ninput a [-2, 3]\ninput b [0, 1]\na\n"
    )
    for given_, expected in [
        (math.nan, -2.0),
        (math.inf, 3.0),
        (-math.inf, -2.0),
        (1.5, 1.5),
        (1e308, 3.0),
        (5e-324, 5e-324),
    ]:
        assert evaluate(rule, {"a": given_, "b": 0.0}) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a / 0", 2.0 * 2**20),
        ("a / -0", 2.0 * 2**20),
        ("a / 1e-9", 2.0 * 2**20),
        ("a / -1e-9", -2.0 * 2**20),
        ("a / -4", -0.5),
        ("sqrt(-a)", 0.0),
        ("sqrt(8 * a)", 4.0),
        ("log(-a)", math.log(2**-20)),
        ("log(0)", math.log(2**-20)),
        ("exp(1e9)", math.exp(40)),
        ("exp(-1e9)", math.exp(-40)),
        ("tanh(1e90)", 1.0),
        ("tanh(-1e90)", -1.0),
        ("min(a, 3)", 2.0),
        ("max(a, 3)", 3.0),
        ("if a < 2 then 1 else 0", 0.0),
        ("if a <= 2 then 1 else 0", 1.0),
        ("if a > 2 then 1 else 0", 0.0),
        ("if a >= 2 then 1 else 0", 1.0),
        ("if 0 < -0 then 1 else 0", 0.0),
        ("7 - 3 - 2", 2.0),
        ("16 / 4 / 2", 2.0),
        ("2 + 3 * -4", -10.0),
        ("-a * 3", -6.0),
        ("1e30", 1e18),
        ("-1e30", -1e18),
    ],
)
def test_semantics(text, value, tmp_path):
    head = "triptych-rule 1\nname x\naction [-1e18, 1e18]\ninput a [2, 2.5]\n"
    rule = parse_rule(head + text)
    found = evaluate(rule, {"a": 0.0})
    assert found == pytest.approx(value, rel=1e-14, abs=0.0)
    rows = np.zeros((1, 1))
    for other in (*by_c(tmp_path, [rule], rows), evaluate_many(rule, {"a": rows[:, 0]})):
        assert bits(other) == bits([found])
    assert bits(by_machine(rule, rows)) == bits([found])


def test_no_result_is_a_negative_zero():
    rule = parse_rule("triptych-rule 1\nname x\naction [-1, 1]\ninput a [-1, 1]\n-a * 0\n")
    rows = np.array([[1.0], [-1.0], [-0.0]])
    for values in (by_python(rule, rows), evaluate_many(rule, {"a": rows[:, 0]})):
        assert bits(values).tolist() == [0, 0, 0]
    assert bits(by_machine(rule, rows)).tolist() == [0, 0, 0]


def test_shapes_and_missing_inputs():
    rule = Rule("x", 0.0, 9.0, (Input("a", 0.0, 1.0), Input("b", 0.0, 1.0)), Number(3.0))
    found = evaluate_many(rule, {"a": np.zeros((2, 3)), "b": np.zeros((2, 3)), "other": 1.0})
    assert found.shape == (2, 3)
    assert (found == 3.0).all()
    assert evaluate_many(rule, {"a": [], "b": []}).shape == (0,)
    assert evaluate_many(rule, {"a": 0.5, "b": 0.5}).shape == ()
    with pytest.raises(ValueError, match=r"one shape, not a \(2,\), b \(3,\)"):
        evaluate_many(rule, {"a": [1, 2], "b": [1, 2, 3]})
    with pytest.raises(KeyError, match="'b' is missing; did you mean 'b_'"):
        evaluate(rule, {"a": 1.0, "b_": 2.0})
