"""A rule drawn as a tree of branches, for people."""

from __future__ import annotations

from policies.rules.count import operations, worst_path
from policies.rules.intervals import Box, bounds
from policies.rules.rule import Rule
from policies.rules.syntax import Expression, If
from policies.rules.write import condition_text, expression_text, number_text


def outline(rule: Rule) -> str:
    """Return several lines: what the rule reads and costs, then its tree.

    Each formula stands with bounds of its value before the action's clamp, over all inputs, and
    with its number of operations.
    """
    cost = operations(rule)
    reads = ", ".join(
        f"{i.name} in [{number_text(i.low)}, {number_text(i.high)}]" for i in rule.inputs
    )
    head = [
        f"{rule.name}: action in [{number_text(rule.low)}, {number_text(rule.high)}]",
        f"reads {reads}",
        f"{cost.total} operations in all; a decision takes at most {cost.worst_path}, "
        f"{cost.decider} of them to choose the formula",
    ]
    return "\n".join([*head, *_branch(rule.body, rule.box, "", ""), ""])


def _branch(node: Expression, box: Box, first: str, rest: str) -> list[str]:
    """Return the lines of a node; `first` leads its first line and `rest` all others."""
    if not isinstance(node, If):
        found = bounds(node, box)
        count = worst_path(node)
        noun = "operation" if count == 1 else "operations"
        ends = f"{found.low + 0.0:.4g} to {found.high + 0.0:.4g}"  # no -0
        told = f"[{ends}; {count} {noun}]"
        return [f"{first}{expression_text(node)}  {told}"]
    return [
        f"{first}{condition_text(node.condition)} ?",
        *_branch(node.then, box, f"{rest}├─ yes: ", f"{rest}│  "),
        *_branch(node.otherwise, box, f"{rest}└─ no: ", f"{rest}   "),
    ]
