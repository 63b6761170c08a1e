"""Branches and the decider that chooses between them made into one rule, and what it may cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from policies.distill.decider import Decider
from policies.distill.fronts import HIGH, LOW, inputs_of
from policies.distill.trees import Fork, Tree
from policies.rules.count import operations
from policies.rules.rule import Rule
from policies.rules.simplify import simplify
from policies.rules.syntax import Comparison, Expression, If, Number, Variable, walk

MOST_PATH, MOST_TOTAL = 60, 150
"""Operations of a rule: on its costliest path (decider and one branch), and in all."""
DECIDER = "decider"


# paper: symbolicpcc decider
def assemble(
    name: str,
    decider: Decider | None,
    branches: Sequence[Rule],
    most_path: int = MOST_PATH,
    most_total: int = MOST_TOTAL,
) -> Rule:
    """Return the rule that asks the decider, then the branch that it names.

    The branches' expressions stand in it as they are: nothing is simplified, so that the decider's
    comparisons are its first ones, in their order.

    Args:
        name: of the rule.
        decider: says which branch; None: there is one branch only.
        branches: the rules to choose between, in the order of the decider's numbers.
        most_path: operations on the costliest path.
        most_total: operations in all.

    Raises:
        ValueError: without a decider there is not exactly one branch; or the rule costs too much.
        RuleError: the whole nests too deeply or has too many nodes.
    """
    if decider is None and len(branches) != 1:
        raise ValueError(f"rule {name}: {len(branches)} branches need a decider between them")
    bodies = [branch.body for branch in branches]
    body = bodies[0] if decider is None else decider.expression(bodies)
    rule = Rule(name, LOW, HIGH, inputs_of(body), body)
    check_cost(rule, most_path, most_total)
    return rule


def check_cost(rule: Rule, most_path: int = MOST_PATH, most_total: int = MOST_TOTAL) -> None:
    """Check what a rule costs.

    Raises:
        ValueError: it takes more operations than it may; the message names both counts.
    """
    cost = operations(rule)
    if cost.worst_path > most_path:
        raise ValueError(
            f"rule {rule.name}: a decision takes up to {cost.worst_path} operations, "
            f"{cost.decider} of them in the decider; at most {most_path} are allowed: "
            "choose cheaper branches, or a decider with fewer leaves"
        )
    if cost.total > most_total:
        raise ValueError(
            f"rule {rule.name}: {cost.total} operations in all; at most {most_total} are allowed: "
            "choose cheaper branches, or a decider with fewer leaves"
        )


def room(
    decider: Decider | None, most_path: int = MOST_PATH, most_total: int = MOST_TOTAL
) -> tuple[int, int]:
    """Return what each branch may cost, on its costliest path and in all, for a rule to be allowed.

    A branch stands in every leaf of the decider that names it, so all leaves share what the
    comparisons leave of `most_total`.

    Args:
        decider: to choose between the branches; None: there is one only.
        most_path: operations on the costliest path of the whole.
        most_total: operations in the whole.

    Raises:
        ValueError: the decider leaves nothing.
    """
    if decider is None:
        return most_path, most_total
    tests = sum(isinstance(node, If) for node in walk(_questions(decider)))
    path, total = most_path - decider.comparisons, (most_total - tests) // (tests + 1)
    if min(path, total) < 1:
        raise ValueError(
            f"a decider of {tests} comparisons leaves branches no operations of {most_path} on a "
            f"path and {most_total} in all; give it fewer leaves"
        )
    return min(path, total), total


def decider_in(rule: Rule, decider: Decider) -> Decider:
    """Return the decider of a rule that was assembled with one and refined: its own thresholds.

    Raises:
        ValueError: the rule does not begin with this decider's questions.
    """
    return Decider(_tree_in(rule.body, decider.tree))


def _tree_in(node: Expression, tree: Tree) -> Tree:
    if not isinstance(tree, Fork):
        return tree
    match node:
        case If(Comparison("<=", Variable(name), Number(value)), then, otherwise):
            if name == tree.name:
                below, above = _tree_in(then, tree.below), _tree_in(otherwise, tree.above)
                return Fork(name, value, below, above)
    raise ValueError(f"the rule does not ask {tree.name} where its decider does")


def _questions(decider: Decider) -> Expression:
    return decider.expression([Number(0.0)] * decider.branches)


def simplified(rule: Rule, decider: Decider | None) -> Rule:
    """Return the rule with the same actions, to the bit, whose formulas take fewest operations.

    The decider's questions stay, so that what was assembled can be taken apart.
    """

    def small(body: Expression) -> Expression:
        return simplify(replace(rule, body=body)).body

    body = small(rule.body) if decider is None else _leaves_by(small, rule.body, decider.tree)
    return Rule(rule.name, rule.low, rule.high, inputs_of(body), body)


def rule_of(decider: Decider) -> Rule:
    """Return a decider as a rule whose action is the number of a branch."""
    body = decider.expression([Number(float(n)) for n in range(decider.branches)])
    return Rule(DECIDER, 0.0, max(1.0, decider.branches - 1.0), inputs_of(body), body)


def _leaves_by(
    small: Callable[[Expression], Expression], node: Expression, tree: Tree
) -> Expression:
    if not isinstance(tree, Fork):
        return small(node)
    if not isinstance(node, If):
        raise ValueError(f"the rule does not ask {tree.name} where its decider does")
    below = _leaves_by(small, node.then, tree.below)
    return If(node.condition, below, _leaves_by(small, node.otherwise, tree.above))
