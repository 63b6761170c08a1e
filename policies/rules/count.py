"""What a rule costs, in operations: every operator, function and comparison counts 1."""

from __future__ import annotations

from dataclasses import dataclass

from policies.rules.rule import Rule
from policies.rules.syntax import Comparison, If, Node, Number, Variable, children, walk


@dataclass(frozen=True, slots=True)
class Operations:
    """Counts of operations; numbers, inputs and the clamping of inputs and result count nothing.

    Attributes:
        total: in the whole rule.
        decider: on the costliest way through the conditions that choose the formula; 0 without.
        worst_path: on the costliest evaluation: conditions, and the formula that they choose.
    """

    total: int
    decider: int
    worst_path: int


# paper: symbolicpcc complexity
def operations(rule: Rule) -> Operations:
    """Return what a rule costs."""
    total = sum(not isinstance(node, If | Number | Variable) for node in walk(rule.body))
    return Operations(total, _decider(rule.body), worst_path(rule.body))


def worst_path(node: Node) -> int:
    """Return how many operations evaluating an expression or comparison takes at most."""
    match node:
        case If():
            chosen = max(worst_path(node.then), worst_path(node.otherwise))
            return worst_path(node.condition) + chosen
        case Number() | Variable():
            return 0
        case _:
            return 1 + sum(worst_path(child) for child in children(node))


def _decider(node: Node) -> int:
    if not isinstance(node, If):
        return 0
    test: Comparison = node.condition
    return worst_path(test) + max(_decider(node.then), _decider(node.otherwise))
