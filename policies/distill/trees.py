"""Decision trees as rules: questions `input <= threshold`, rounded so that people can read them.

scikit-learn grows the trees (CART, the leaf that lowers the error most first). VIPER (Bastani, Pu,
Solar-Lezama, NeurIPS 2018) distils networks into such trees by DAgger, rows weighted by what a
wrong action costs; rows and weights are the caller's here.

A rule clamps its inputs to the bounds of `rule_inputs.INPUTS` and counts NaN as the lower one, so
`evaluate_tree` does too: both give the same leaf on any table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from policies.congestion.rule_inputs import INPUTS, WIDTH
from policies.registry import UnknownNameError
from policies.rules.arrays import clamped
from policies.rules.syntax import (
    MOST_DEPTH,
    MOST_NODES,
    Comparison,
    Expression,
    If,
    Number,
    Variable,
)
from sim.net.problems import whole

DIGITS = 3
"""Significant digits of thresholds, and of the actions of tree rules."""
DEEPEST = MOST_DEPTH - 2
"""Questions on one way that a rule has room for: the last one has a comparison below it."""
MOST_LEAVES = MOST_NODES // 5
"""Leaves that a rule has room for: each but one brings four nodes besides itself."""
PLACES = {name: place for place, name in enumerate(INPUTS)}
"""Input -> its column in the table."""


@dataclass(frozen=True, slots=True)
class Fork:
    """A question, and what follows from either answer.

    Attributes:
        name: of an input.
        threshold: the question is whether the input is at most this.
        below: where it is.
        above: where it is not.
    """

    name: str
    threshold: float
    below: Tree
    above: Tree


Tree: TypeAlias = Fork | float
"""A question, or the value of a leaf."""


def rounded(value: float, digits: int = DIGITS) -> float:
    """Return the value to so many significant digits."""
    return float(f"{value:.{digits}g}") + 0.0  # no negative zero, which reads badly


def columns_of(names: Sequence[str]) -> list[int]:
    """Return the column of each input in the table.

    Raises:
        UnknownNameError: the table has no such input.
        ValueError: none is named, or one twice.
    """
    for name in names:
        if name not in PLACES:
            raise UnknownNameError("input", name, PLACES)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"inputs: must be named, each once, got {', '.join(names) or 'none'}")
    return [PLACES[name] for name in names]


def fit_tree_rule(
    inputs: NDArray[Any],
    names: Sequence[str],
    actions: NDArray[Any],
    leaves: int,
    weights: NDArray[Any] | None = None,
    deepest: int = DEEPEST,
    seed: int = 0,
) -> Expression:
    """Return a regression tree from inputs to actions, as an expression of nested branches.

    Args:
        inputs: float[rows, k].
        names: of the k columns, inputs of the table.
        actions: float[rows].
        leaves: at most; fewer where rounding makes questions idle or neighbours equal.
        weights: float[rows], what each row counts; None: all the same.
        deepest: questions on one way, at most.
        seed: breaks ties between questions that are equally good.

    Raises:
        UnknownNameError: a name is that of no input.
        ValueError: a shape does not fit, a value is not finite, there is no row, a weight is
            negative or all are zero, or a number is out of range; the message names it.
    """
    columns_of(names)
    known = np.asarray(inputs, np.float64)
    wanted = np.asarray(actions, np.float64)
    counts = np.ones(len(wanted)) if weights is None else np.asarray(weights, np.float64)
    check_size(leaves, deepest)
    if known.ndim != 2 or known.shape[1] != len(names) or not len(known):
        raise ValueError(f"inputs: shape must be (rows, {len(names)}), got {known.shape}")
    for what, values in (("actions", wanted), ("weights", counts)):
        if values.shape != (len(known),):
            raise ValueError(f"{what}: shape must be ({len(known)},), got {values.shape}")
    for what, values in (("inputs", known), ("actions", wanted), ("weights", counts)):
        if not np.isfinite(values).all():
            raise ValueError(f"{what}: holds a value that is not finite")
    if (counts < 0.0).any() or not counts.any():
        raise ValueError("weights: must not be negative, nor all zero")
    if leaves == 1:
        return Number(rounded(float(np.average(wanted, weights=counts))))
    from sklearn.tree import DecisionTreeRegressor

    model = DecisionTreeRegressor(max_leaf_nodes=leaves, max_depth=deepest, random_state=seed)
    model.fit(known, wanted, sample_weight=counts)
    fitted: Any = model.tree_
    tree = grown(fitted, names, lambda place: rounded(float(fitted.value[place, 0, 0])))
    return expression_of(tree, Number)


def check_size(leaves: int, deepest: int) -> None:
    """Check that a rule has room for a tree of this size.

    Raises:
        ScenarioError: it has not.
    """
    whole("tree", "leaves", leaves, 1, MOST_LEAVES)
    whole("tree", "deepest", deepest, 1, DEEPEST)


def grown(fitted: Any, names: Sequence[str], leaf: Callable[[int], float]) -> Tree:
    """Return scikit-learn's tree with rounded thresholds, and without questions that are idle.

    A question is idle where the input's bounds or questions before it leave one answer only, or
    where both answers lead to the same.

    Args:
        fitted: `tree_` of a fitted model.
        names: of the columns that it was fitted on.
        leaf: from the number of a node to the value of the leaf.
    """

    def node(place: int, box: Mapping[str, tuple[float, float]]) -> Tree:
        left, right = int(fitted.children_left[place]), int(fitted.children_right[place])
        if left < 0:
            return leaf(place)
        name = names[int(fitted.feature[place])]
        threshold = rounded(float(fitted.threshold[place]))
        low, high = box[name]
        if threshold >= high:
            return node(left, box)
        if threshold < low:
            return node(right, box)
        after = float(np.nextafter(threshold, np.inf))
        one = node(left, {**box, name: (low, threshold)})
        other = node(right, {**box, name: (after, high)})
        return one if one == other else Fork(name, threshold, one, other)

    return node(0, {name: INPUTS[name][:2] for name in names})


def expression_of(tree: Tree, leaf: Callable[[float], Expression]) -> Expression:
    """Return the tree as nested branches; `leaf` says what stands in the place of a leaf's value.

    Raises:
        RuleError: the expression would nest too deeply.
    """
    if not isinstance(tree, Fork):
        return leaf(tree)
    question = Comparison("<=", Variable(tree.name), Number(tree.threshold))
    return If(question, expression_of(tree.below, leaf), expression_of(tree.above, leaf))


def evaluate_tree(tree: Tree, table: NDArray[Any]) -> NDArray[np.float64]:
    """Return float64[n]: the value of the leaf that each row of a table comes to.

    Args:
        tree: of inputs of the table.
        table: float[n, WIDTH], columns as `rule_inputs.INPUTS`; any value, NaN and inf included.

    Raises:
        ValueError: wrong shape.
    """
    if table.ndim != 2 or table.shape[1] != WIDTH:
        raise ValueError(f"table: shape must be (n, {WIDTH}), got {table.shape}")
    values = np.empty(len(table))
    waiting = [(tree, np.arange(len(table)))]
    while waiting:
        node, rows = waiting.pop()
        if not isinstance(node, Fork):
            values[rows] = node
            continue
        low, high, _ = INPUTS[node.name]
        asked = clamped(table[rows, PLACES[node.name]].astype(np.float64), low, high)
        yes = asked <= node.threshold
        waiting += [(node.below, rows[yes]), (node.above, rows[~yes])]
    return values


def depth_of(tree: Tree) -> int:
    """Return how many questions there are on the longest way."""
    if not isinstance(tree, Fork):
        return 0
    return 1 + max(depth_of(tree.below), depth_of(tree.above))
