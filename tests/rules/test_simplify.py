"""Simplified rules: same bits, never costlier on any path, and simple for good."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.rules.count import operations
from policies.rules.evaluate import evaluate_many
from policies.rules.parse import parse_rule
from policies.rules.simplify import simplify
from policies.rules.write import expression_text
from tests.rules.random_rules import INPUTS, bits, columns, many_inputs, many_rules, rules

HEAD = "triptych-rule 1\nname x\naction [-100, 100]\n"
HEAD += "".join(f"input {i.name} [{i.low!r}, {i.high!r}]\n" for i in INPUTS)
ROWS = many_inputs(np.random.default_rng(9), 3000)


def assert_smaller(rule, small):
    before, after = operations(rule), operations(small)
    assert after.total <= before.total
    assert after.worst_path <= before.worst_path
    assert small.body.size <= rule.body.size
    assert (small.name, small.inputs) == (rule.name, rule.inputs)


@settings(deadline=None, max_examples=60)
@given(rules(depth=6))
def test_simplifying_keeps_the_bits_and_settles(rule):
    small = simplify(rule)
    expected = bits(evaluate_many(rule, columns(ROWS[:300])))
    assert np.array_equal(bits(evaluate_many(small, columns(ROWS[:300]))), expected)
    assert_smaller(rule, small)
    assert simplify(small) == small


def test_many_larger_rules():
    smaller = 0
    for rule in many_rules(300, seed=8, depth=8):
        small = simplify(rule)
        expected = bits(evaluate_many(rule, columns(ROWS)))
        assert np.array_equal(bits(evaluate_many(small, columns(ROWS))), expected)
        assert_smaller(rule, small)
        assert simplify(small) == small
        merged = simplify(rule, exact=False)
        assert_smaller(rule, merged)
        assert simplify(merged, exact=False) == merged
        assert operations(merged).total <= operations(small).total
        smaller += small.body.size < rule.body.size
    assert smaller > 150


@settings(deadline=None, max_examples=60)
@given(rules(depth=6))
def test_merging_settles_and_never_costs(rule):
    small = simplify(rule, exact=False)
    assert_smaller(rule, small)
    assert simplify(small, exact=False) == small
    assert operations(small).total <= operations(simplify(rule)).total


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", "7"),
        ("exp(0) + log(1)", "1"),
        ("ratio + 0", "ratio"),
        ("0 + ratio", "ratio"),
        ("ratio - 0", "ratio"),
        ("0 - ratio", "-ratio"),
        ("ratio - ratio", "0"),
        ("ratio * 1", "ratio"),
        ("-1 * ratio", "-ratio"),
        ("ratio * 0", "0"),
        ("0 / ratio", "0"),
        ("ratio / 1", "ratio"),
        ("ratio / -1", "-ratio"),
        ("rate / rate", "1"),
        ("ratio / ratio", "ratio / ratio"),
        ("-ratio / -loss", "-ratio / -loss"),
        ("-ratio / 3", "ratio / -3"),
        ("-ratio / 1e-9", "-ratio / 1e-09"),
        ("-(-ratio)", "ratio"),
        ("-(ratio - loss)", "loss - ratio"),
        ("-(2 * ratio)", "-2 * ratio"),
        ("-(ratio * 2)", "ratio * -2"),
        ("-(2 / ratio)", "-2 / ratio"),
        ("-(ratio / 2)", "ratio / -2"),
        ("-(ratio / 1e-9)", "-(ratio / 1e-09)"),
        ("ratio + -loss", "ratio - loss"),
        ("-ratio + loss", "loss - ratio"),
        ("ratio - -loss", "ratio + loss"),
        ("-ratio * -loss", "ratio * loss"),
        ("2 * -ratio", "-2 * ratio"),
        ("abs(loss)", "loss"),
        ("abs(-ratio)", "abs(ratio)"),
        ("abs(sqrt(ratio))", "sqrt(ratio)"),
        ("sqrt(-loss)", "0"),
        ("min(loss, 2)", "loss"),
        ("min(2, loss)", "loss"),
        ("max(loss, rate)", "rate"),
        ("max(loss, loss)", "loss"),
        ("min(min(ratio, 1), 0.5)", "min(ratio, 0.5)"),
        ("max(0.5, max(1, ratio))", "max(1, ratio)"),
        ("max(1, max(0.5, ratio))", "max(ratio, 1)"),
        ("1 + max(0.5, min(1, ratio))", "1 + max(0.5, min(1, ratio))"),
        ("if loss <= 1 then ratio else 2", "ratio"),
        ("if loss > rate then ratio else 2", "2"),
        ("if loss < 0.5 then ratio else ratio", "ratio"),
        ("if ratio < 1 then (if ratio < 2 then 1 else 2) else 3", "if ratio < 1 then 1 else 3"),
        ("if ratio < 1 then 1 else if 0.5 > ratio then 2 else 3", "if ratio < 1 then 1 else 3"),
        (
            "if ratio < loss then (if ratio > 1 then 4 else 5) else 6",
            "if ratio < loss then 5 else 6",
        ),
        ("max(-100, min(100, slope))", "slope"),
        ("max(slope, -200)", "slope"),
        ("if loss < 0.5 then min(100, rate) else 5", "if loss < 0.5 then rate else 5"),
        ("rate + 200", "100"),
        ("ratio * 2 * 3", "ratio * 2 * 3"),
        ("sqrt(ratio) + tanh(loss)", "sqrt(ratio) + tanh(loss)"),
    ],
)
def test_by_hand(text, expected):
    rule = parse_rule(HEAD + text)
    small = simplify(rule)
    assert expression_text(small.body) == expected
    assert np.array_equal(
        bits(evaluate_many(small, columns(ROWS))), bits(evaluate_many(rule, columns(ROWS)))
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 * (3 * ratio)", "6 * ratio"),
        ("ratio * 2 * 3", "6 * ratio"),
        ("ratio * 6 / 2", "3 * ratio"),
        ("ratio / 4 / 2", "0.125 * ratio"),
        ("ratio / 1e-9 / 2", "ratio / 1e-09 / 2"),
        ("2 + (3 + ratio)", "5 + ratio"),
        ("ratio + 2 - 3", "-1 + ratio"),
        ("2 - (3 - ratio)", "-1 + ratio"),
        ("2 - (ratio - 3)", "5 - ratio"),
        ("3 - ratio - 2", "1 - ratio"),
        ("2 - (2 - ratio)", "ratio"),
        ("2 * (1 + (2 + ratio)) * 0.5", "3 + ratio"),
        ("1e-80 * (1e-80 * ratio)", "1e-80 * (1e-80 * ratio)"),
    ],
)
def test_merging_by_hand(text, expected):
    assert expression_text(simplify(parse_rule(HEAD + text), exact=False).body) == expected


CONSTANTS = st.floats(-50.0, 50.0).filter(lambda c: abs(c) > 1e-3)


@settings(deadline=None, max_examples=100)
@given(CONSTANTS, CONSTANTS, st.sampled_from(["{c} * ({d} * ratio)", "ratio / {c} / {d}",
    "ratio * {d} / {c}", "ratio / {d} * {c}"]))  # fmt: skip
def test_a_merged_product_changes_by_the_stated_rounding(c, d, form):
    rule = parse_rule(wide(form.format(c=repr(c), d=repr(d))))
    small = simplify(rule, exact=False)
    assert operations(small).total <= 1
    before, after = (evaluate_many(r, columns(ROWS)) for r in (rule, small))
    assert (np.abs(before - after) <= 2.0**-50 * np.abs(before) + 1e-300).all()


@settings(deadline=None, max_examples=100)
@given(CONSTANTS, CONSTANTS, st.sampled_from(["{c} + ({d} + ratio)", "{c} - ({d} - ratio)",
    "ratio - {c} - {d}", "{c} - ratio - {d}", "{c} - (ratio + {d})"]))  # fmt: skip
def test_a_merged_sum_changes_by_the_stated_rounding(c, d, form):
    rule = parse_rule(wide(form.format(c=repr(c), d=repr(d))))
    small = simplify(rule, exact=False)
    assert operations(small).total <= 1
    before, after = (evaluate_many(r, columns(ROWS)) for r in (rule, small))
    assert (np.abs(before - after) <= 2.0**-49 * max(abs(c), abs(d), 3.0)).all()


def wide(text):
    return HEAD.replace("action [-100, 100]", "action [-1e90, 1e90]") + text


def test_narrowing_does_not_make_a_rule_that_is_refused():
    # Where big <= 1 holds, min(big, 5) is big; but squaring big is refused over all its inputs.
    text = "triptych-rule 1\nname x\naction [0, 1]\ninput big [0, 1e60]\n"
    rule = parse_rule(f"{text}if big <= 1 then min(big, 5) * min(big, 5) else 0")
    assert simplify(rule) == rule


def test_the_largest_rules_are_simplified():
    def balanced(count: int) -> str:
        half = count // 2
        return "ratio" if count == 1 else f"({balanced(half)} + {balanced(count - half)} * 1)"

    rule = parse_rule(HEAD + balanced(500))
    assert rule.body.size > 1900
    assert operations(simplify(rule)).total == 499
