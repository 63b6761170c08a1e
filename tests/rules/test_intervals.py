"""Bounds hold for every node and every input; what they cannot bound is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.rules import elementary
from policies.rules.elementary import EPS
from policies.rules.intervals import Interval, bounds, decided, narrowed
from policies.rules.parse import parse_rule
from policies.rules.syntax import LIMIT, Comparison, If, Node, Number, RuleError, Variable, children
from tests.rules.random_rules import INPUTS, inputs_of, many_inputs, many_rules, rules

BOX = {i.name: Interval(i.low, i.high) for i in INPUTS}


def value_of(node: Node, values: dict[str, float]) -> float:
    """Evaluate a node on clamped inputs, checking the bounds of all nodes below on the way."""
    if isinstance(node, Comparison):
        left, right = (value_of(child, values) for child in children(node))
        outcome = decided(node, BOX)
        holds = elementary.COMPARE[node.kind](left, right)
        assert outcome in (None, holds)
        return holds
    below = [value_of(child, values) for child in children(node)]
    match node:
        case Number(value):
            found = value
        case Variable(name):
            found = values[name]
        case If():
            found = below[1] if below[0] else below[2]
        case _:
            table = elementary.UNARY if len(below) == 1 else elementary.BINARY
            found = table[node.kind](*below)
    assert found in bounds(node, BOX), node
    return found


@settings(deadline=None, max_examples=100)
@given(rules(depth=5), st.lists(inputs_of(), min_size=1, max_size=8))
def test_every_value_lies_within_the_bounds_of_its_node(rule, many):
    for inputs in many:
        values = {i.name: elementary.clamped(inputs[i.name], i.low, i.high) for i in INPUTS}
        value_of(rule.body, values)


def test_many_values_lie_within_their_bounds():
    rng = np.random.default_rng(12)
    for rule in many_rules(200, seed=12):
        for row in many_inputs(rng, 3).tolist():
            given_ = zip(INPUTS, row, strict=True)
            values = {i.name: elementary.clamped(x, i.low, i.high) for i, x in given_}
            value_of(rule.body, values)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(["<", "<=", ">", ">="]),
    st.sampled_from(INPUTS),
    st.floats(-2.0, 2.0),
    inputs_of(),
    st.booleans(),
)
def test_narrowed_boxes_keep_all_inputs_that_lead_there(kind, read, limit, inputs, turned):
    sides = (Variable(read.name), Number(limit))
    condition = Comparison(kind, *(sides[::-1] if turned else sides))
    if decided(condition, BOX) is not None:
        return
    values = {i.name: elementary.clamped(inputs[i.name], i.low, i.high) for i in INPUTS}
    left, right = (values[read.name], limit)[:: -1 if turned else 1]
    holds = elementary.COMPARE[kind](left, right)
    box = narrowed(BOX, condition, holds)
    assert all(values[name] in box[name] for name in values)
    if read.low < limit < read.high:
        assert box[read.name] != BOX[read.name]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("ratio * ratio", -6.0, 9.0),
        ("abs(ratio)", 0.0, 3.0),
        ("abs(ratio - 3)", 0.0, 5.0),
        ("ratio - ratio", -5.0, 5.0),
        ("1 / ratio", -(2.0**20), 2.0**20),
        ("1 / loss", 1.0, 2.0**20),
        ("1 / (loss - 1)", -(2.0**20), 2.0**20),
        ("1 / (loss - 2)", -1.0, -0.5),
        ("1 / slope", -(2.0**20), 2.0**20),
        ("sqrt(ratio)", 0.0, math.sqrt(3.0)),
        ("min(ratio, loss)", -2.0, 1.0),
        ("max(ratio, loss)", 0.0, 3.0),
        ("if loss < 0.5 then 2 else ratio", -2.0, 3.0),
        ("-rate", -1e6, -1.0),
        ("loss * 0", 0.0, 0.0),
    ],
)
def test_bounds_by_hand(text, low, high):
    assert bounds(expression(text), BOX) == Interval(low, high)


def expression(text):
    head = "triptych-rule 1\nname x\naction [0, 1]\n"
    head += "".join(f"input {i.name} [{i.low!r}, {i.high!r}]\n" for i in INPUTS)
    return parse_rule(head + text).body


def test_bounds_of_functions_are_wider_by_little():
    for name, x in (("exp", 3.0), ("log", 3.0), ("tanh", 0.5)):
        found = bounds(expression(f"{name}({x})"), BOX)
        value = elementary.UNARY[name](x)
        assert found.low < value < found.high
        assert found.high - found.low < 1e-13 * value
    assert bounds(expression("tanh(rate)"), BOX).high == 1.0
    assert bounds(expression("tanh(loss)"), BOX).low == 0.0


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("loss <= 1", True),
        ("loss < 1", None),
        ("loss >= 0", True),
        ("loss > 0", None),
        ("loss > 1", False),
        ("loss < 0", False),
        ("1 < loss", False),
        ("loss < rate", None),
        ("loss <= rate", True),
        ("ratio < ratio", False),
        ("ratio <= ratio", True),
        ("ratio + 1 >= ratio + 1", True),
        ("slope > ratio", None),
        ("1 / loss < 0.5", False),
    ],
)
def test_decided_by_hand(text, outcome):
    node = expression(f"if {text} then 1 else 2")
    assert isinstance(node, If)
    assert decided(node.condition, BOX) is outcome


@pytest.mark.parametrize(
    "text",
    [
        "1e99 * rate",
        "exp(rate) * exp(rate) * exp(rate) * exp(rate) * exp(rate) * exp(rate)",
        f"1e95 / (ratio * {EPS!r})",
        "if 1e98 * rate < 1 then 1 else 2",
        "if loss < 2 then 1 else 1e98 * rate",
        "min(1, 1e98 * rate)",
    ],
)
def test_what_may_grow_too_large_is_refused_even_where_it_is_not_reached(text):
    with pytest.raises(RuleError, match=r"may reach .* more than 1e\+100; narrow the bounds"):
        expression(text)


def test_the_limit_itself_is_allowed():
    assert bounds(expression("-1e100"), BOX) == Interval(-LIMIT, -LIMIT)
    assert bounds(expression("1e93 * rate"), BOX).high <= LIMIT
