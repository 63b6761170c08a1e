"""Counts of operations, against counting while evaluating."""

from __future__ import annotations

from hypothesis import given, settings

from policies.rules import elementary
from policies.rules.count import Operations, operations
from policies.rules.parse import parse_rule
from policies.rules.syntax import If, Node, Number, Variable, children
from tests.rules.random_rules import INPUTS, inputs_of, rules
from tests.rules.test_parse import EXAMPLE, HEAD


def counted(node: Node, values: dict[str, float]) -> tuple[float, int]:
    """Return the value of a node and how many operations it took, one branch being evaluated."""
    match node:
        case Number(value):
            return value, 0
        case Variable(name):
            return values[name], 0
        case If():
            holds, tested = counted(node.condition, values)
            value, taken = counted(node.then if holds else node.otherwise, values)
            return value, tested + taken
    parts = [counted(child, values) for child in children(node)]
    below = [value for value, _ in parts]
    tables = (elementary.UNARY,) if len(below) == 1 else (elementary.BINARY, elementary.COMPARE)
    function = next(table[node.kind] for table in tables if node.kind in table)
    return function(*below), 1 + sum(count for _, count in parts)


@settings(deadline=None, max_examples=100)
@given(rules(depth=6), inputs_of())
def test_no_evaluation_takes_more_than_the_worst_path(rule, inputs):
    values = {i.name: elementary.clamped(inputs[i.name], i.low, i.high) for i in INPUTS}
    _, taken = counted(rule.body, values)
    cost = operations(rule)
    assert taken <= cost.worst_path <= cost.total
    assert cost.decider <= cost.worst_path
    if not isinstance(rule.body, If):
        assert cost.decider == 0


# paper: symbolicpcc complexity
def test_counts_by_hand():
    # loss <= c: 1. First formula 3; second comparison 1; last formula 3.
    assert operations(parse_rule(EXAMPLE)) == Operations(total=8, decider=2, worst_path=5)

    def of(text: str) -> Operations:
        return operations(parse_rule(HEAD + text))

    assert of("3") == Operations(0, 0, 0)
    assert of("-(3)") == Operations(1, 0, 1)
    assert of("-3 * a") == Operations(1, 0, 1)
    assert of("min(a, bb) + 1") == Operations(2, 0, 2)
    assert of("1 + (if a < bb then a + 1 + 1 else bb)") == Operations(4, 0, 4)
    assert of("if (if a < 1 then a else bb + 1) < 2 then 1 else a + 1") == Operations(4, 3, 4)
