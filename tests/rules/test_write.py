"""Text of rules: exact, and no more parentheses than needed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.rules.parse import parse_rule
from policies.rules.rule import Rule
from policies.rules.syntax import Binary, Comparison, If, Input, Number, RuleError, Variable
from policies.rules.write import expression_text, number_text, text_of
from tests.rules.random_rules import many_rules, rules
from tests.rules.test_parse import EXAMPLE, HEAD


@settings(deadline=None, max_examples=100)
@given(rules(depth=6))
def test_text_reads_back_as_the_same_rule(rule):
    again = parse_rule(text_of(rule))
    assert again == rule
    assert repr(again) == repr(rule)  # equality overlooks the sign of zeros
    assert text_of(again) == text_of(rule)


def test_many_rules_read_back():
    for rule in many_rules(300, seed=6, depth=7):
        assert repr(parse_rule(text_of(rule))) == repr(rule)


@given(st.floats(-1e100, 1e100))
def test_numbers_are_exact(value):
    again = parse_rule(HEAD + number_text(value)).body
    assert isinstance(again, Number)
    assert again.value == value
    assert math.copysign(1.0, again.value) == math.copysign(1.0, value)


@pytest.mark.parametrize(
    "text",
    [
        "a + bb + 1",
        "a + (bb + 1)",
        "a - (bb - 1)",
        "a * (bb / 2)",
        "a / bb / 2",
        "(a + bb) * -3",
        "-(a + bb)",
        "-a * bb",
        "-(a * bb)",
        "-(3)",
        "--(3)",
        "--a",
        "a - -3",
        "-3 * a",
        "-0",
        "1e-09",
        "1e+22",
        "max(a + bb, if a < bb then a else 2)",
        "(if a < bb then a else 2) + 1",
        "1 + (if a < bb then a else 2)",
    ],
)
def test_expressions_are_written_as_people_would(text):
    assert expression_text(parse_rule(HEAD + text).body) == text


def test_branches_stand_on_lines():
    assert text_of(parse_rule(EXAMPLE)) == (
        "triptych-rule 1\nname symbolic_branched\naction [-1, 1]\n"
        "input latency_ratio [1, 8]\ninput loss [0, 1]\n\n"
        "if loss <= 0.031\n"
        "then 0.5 * tanh(1.25 - latency_ratio)\n"
        "else if latency_ratio < 1.2\n"
        "then 1\n"
        "else max(-1, 1 - latency_ratio / 2)\n"
    )
    nested = "if a < bb then if a < 1 then 2 else 3 else 4"
    assert text_of(parse_rule(HEAD + nested)).endswith(
        "if a < bb\nthen\n  if a < 1\n  then 2\n  else 3\nelse 4\n"
    )


def test_a_text_that_no_reader_takes_is_not_written():
    wide = Variable("q" * 32)
    tree: If | Variable = wide
    for _ in range(8):
        tree = If(Comparison("<", Binary("max", wide, wide), wide), tree, tree)
    inputs = (Input(wide.name, 0.0, 1.0),)
    assert parse_rule(text_of(Rule("x", 0.0, 1.0, inputs, tree))).body == tree
    for _ in range(21):  # each indents all that is within
        tree = If(Comparison("<", wide, Number(0.1)), tree, Number(0.0))
    with pytest.raises(RuleError, match="longer than 65536 bytes"):
        text_of(Rule("x", 0.0, 1.0, inputs, tree))
