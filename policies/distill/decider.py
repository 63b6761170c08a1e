"""The branch decider: which context a link is in, told from what a sender can observe.

Contexts are boxes of conditions that no sender knows (`contexts`). The decider is a small decision
tree over the table of rule inputs; the assembled rule asks its questions before every decision.
How often it is right is a metric of its own, always taken on links that it was not fitted on: rows
of one link are alike, so a split by rows would tell how well it remembers links.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.distill.storage import read_json, write_json
from policies.distill.trees import (
    DEEPEST,
    PLACES,
    Fork,
    Tree,
    check_size,
    columns_of,
    depth_of,
    evaluate_tree,
    expression_of,
    grown,
)
from policies.registry import UnknownNameError
from policies.rules.syntax import LIMIT, Expression
from sim.net.problems import number, whole
from sim.streams import stream

if TYPE_CHECKING:
    from policies.distill.rollouts import Rollouts

MOST_BRANCHES = 64
DEEP = 8
"""Questions on one way of a decider, unless told otherwise."""
HELD_OUT = 0.25
"""Share of links that accuracy is taken on, unless told otherwise."""


@dataclass(frozen=True)
class Decider:
    """A tree of questions with numbers of contexts in its leaves.

    Attributes:
        tree: its leaves are whole numbers from 0 on.

    Raises:
        UnknownNameError: a question is about what is no input.
        ValueError: a threshold or a leaf is unsound, or the tree is too deep.
    """

    tree: Tree

    def __post_init__(self) -> None:
        _check(self.tree, DEEPEST)

    def labels(self, table: NDArray[Any]) -> NDArray[np.int64]:
        """Return int64[n]: the context that each row of a table float[n, WIDTH] is taken for.

        Raises:
            ValueError: wrong shape.
        """
        return evaluate_tree(self.tree, table).astype(np.int64)

    @property
    def comparisons(self) -> int:
        """Comparisons of one decision, at most."""
        return depth_of(self.tree)

    @property
    def branches(self) -> int:
        """How many branches it needs: 1 + the largest context in a leaf."""
        return 1 + int(max(_values(self.tree)))

    def expression(self, branches: Sequence[Expression]) -> Expression:
        """Return the whole decision: the branch of the context that the questions lead to.

        Args:
            branches: one per context, in the order of the contexts.

        Raises:
            ValueError: a leaf's context has no branch.
            RuleError: questions and branch together nest too deeply.
        """
        if len(branches) < self.branches:
            raise ValueError(
                f"decider: tells {self.branches} contexts apart, got {len(branches)} branches"
            )
        return expression_of(self.tree, lambda context: branches[int(context)])


class Accuracy(NamedTuple):
    """How often a decider is right.

    Attributes:
        over_rows: share of rows whose context was told rightly.
        matrix: float64[k, k]; of the rows in context i, the share taken for context j; a context
            without rows has zeros.
    """

    over_rows: float
    matrix: NDArray[np.float64]


# paper: symbolicpcc decider
def fit_decider(
    rollouts: Rollouts,
    labels_of_links: NDArray[Any],
    inputs: Sequence[str],
    leaves: int,
    seed: int,
    deepest: int = DEEP,
    balance: float = 0.0,
) -> Decider:
    """Return a decider fitted on all rows of some roll-outs.

    Contexts are not equally frequent, and a tree that counts rows may never name a rare one. With a
    `balance` b a row of a context with n rows weighs n ** -b.

    Args:
        rollouts: of links.
        labels_of_links: int[n_links], the context of each link.
        inputs: of the table, that it may ask about.
        leaves: at most.
        seed: breaks ties between questions that are equally good.
        deepest: questions on one way, at most.
        balance: 0: rows count alike; 1: contexts do.

    Raises:
        UnknownNameError: an input is none of the table.
        ValueError: there is no row, a label is unsound, or a number is out of range.
    """
    labels, places = _labels_of_rows(rollouts, labels_of_links), columns_of(inputs)
    check_size(leaves, deepest)
    check_balance(balance)
    rows = np.bincount(labels)
    if leaves == 1:
        return Decider(int(rows.argmax()))
    from sklearn.tree import DecisionTreeClassifier

    model = DecisionTreeClassifier(max_leaf_nodes=leaves, max_depth=deepest, random_state=seed)
    weights = rows.astype(np.float64)[labels] ** -balance
    model.fit(rollouts.inputs[:, places], labels, weights)
    fitted: Any = model.tree_
    contexts = np.unique(labels)
    return Decider(grown(fitted, inputs, lambda at: int(contexts[fitted.value[at, 0].argmax()])))


def check_balance(value: Any) -> None:
    """Check a balance.

    Raises:
        ValueError: it is no number from 0 to 1.
    """
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not 0.0 <= value <= 1.0:
        raise ValueError(f"decider: a balance must be from 0 to 1, got {value!r:.40}")


def accuracy(decider: Decider, rollouts: Rollouts, labels_of_links: NDArray[Any]) -> Accuracy:
    """Return how often a decider is right on roll-outs; of links that it was not fitted on.

    Args:
        decider: what is judged.
        rollouts: of links whose rows it has not seen (`held_out`).
        labels_of_links: int[n_links], the context of each link.

    Raises:
        ValueError: there is no row, or a label is unsound.
    """
    labels = _labels_of_rows(rollouts, labels_of_links)
    told = decider.labels(rollouts.inputs)
    size = max(decider.branches, int(np.max(labels_of_links)) + 1)
    counts = np.bincount(labels * size + told, minlength=size * size).reshape(size, size)
    rows = counts.sum(axis=1, keepdims=True)
    return Accuracy(float(np.mean(told == labels)), counts / np.maximum(rows, 1))


def held_out(links: int, seed: int, share: float = HELD_OUT) -> NDArray[np.bool_]:
    """Return bool[links]: which links are kept for judging; at least one, and not all.

    Raises:
        ScenarioError: fewer than 2 links, or a share out of range.
    """
    whole("held_out", "links", links, 2)
    number("held_out", "share", share, above=0.0, below=1.0)
    kept = np.zeros(links, np.bool_)
    count = min(max(round(share * links), 1), links - 1)
    kept[stream(seed, {"links": "held out"}, "decider").permutation(links)[:count]] = True
    return kept


def fit_and_judge(
    rollouts: Rollouts,
    labels_of_links: NDArray[Any],
    inputs: Sequence[str],
    leaves: int,
    seed: int,
    share: float = HELD_OUT,
) -> tuple[Decider, Accuracy]:
    """Fit a decider on some of the links, and return it with its accuracy on the others.

    Arguments as `fit_decider`, and the share of links that are held out.

    Raises:
        UnknownNameError, ValueError: as `fit_decider` and `held_out`.
    """
    kept, labels = held_out(len(rollouts.share), seed, share), np.asarray(labels_of_links)
    _labels_of_rows(rollouts, labels)
    decider = fit_decider(rollouts.of_links(~kept), labels[~kept], inputs, leaves, seed)
    return decider, accuracy(decider, rollouts.of_links(kept), labels[kept])


def _labels_of_rows(rollouts: Rollouts, labels_of_links: NDArray[Any]) -> NDArray[np.int64]:
    labels, links = np.asarray(labels_of_links), len(rollouts.share)
    if labels.shape != (links,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels: must be one whole number for each of {links} links")
    if not len(rollouts.links):
        raise ValueError("rollouts: hold no row")
    if labels.min() < 0 or labels.max() >= MOST_BRANCHES:
        raise ValueError(f"labels: must be from 0 to {MOST_BRANCHES - 1}")
    return labels.astype(np.int64)[rollouts.links]


def _check(tree: Tree, room: int) -> None:
    if not isinstance(tree, Fork):
        if not 0 <= tree < MOST_BRANCHES or tree != int(tree):
            raise ValueError(f"decider: {tree} is no context; they are 0 to {MOST_BRANCHES - 1}")
        return
    if room == 0:
        raise ValueError(f"decider: asks more than {DEEPEST} questions on one way")
    if tree.name not in PLACES:
        raise UnknownNameError("input", tree.name, PLACES)
    if not abs(tree.threshold) <= LIMIT:
        raise ValueError(f"decider: {tree.name}: threshold {tree.threshold} is not a sound number")
    _check(tree.below, room - 1)
    _check(tree.above, room - 1)


def _values(tree: Tree) -> list[float]:
    if not isinstance(tree, Fork):
        return [tree]
    return [*_values(tree.below), *_values(tree.above)]


def write_decider(path: Path, decider: Decider, told: Mapping[str, Any] | None = None) -> None:
    """Put a decider at `path` as JSON, with what else is told of it."""
    write_json(path, {**(told or {}), "decider": _as_json(decider.tree)})


def read_decider(path: Path) -> Decider:
    """Return the decider that `write_decider` put at `path`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no decider; the message names it.
    """
    value = read_json(path).get("decider")
    try:
        return Decider(_from_json(value, DEEPEST))
    except (LookupError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from None


def _as_json(tree: Tree) -> Any:
    if not isinstance(tree, Fork):
        return int(tree)
    below, above = _as_json(tree.below), _as_json(tree.above)
    return {"input": tree.name, "threshold": tree.threshold, "below": below, "above": above}


def _from_json(value: Any, room: int) -> Tree:
    if type(value) is int and 0 <= value < MOST_BRANCHES:
        return value
    if not isinstance(value, dict) or set(value) != {"input", "threshold", "below", "above"}:
        raise ValueError(
            f"decider: must be the number of a context, 0 to {MOST_BRANCHES - 1}, or an object of"
            f" input, threshold, below and above; found {type(value).__name__}"
        )
    if room == 0:
        raise ValueError(f"decider: asks more than {DEEPEST} questions on one way")
    name, threshold = value["input"], value["threshold"]
    if not isinstance(name, str):
        raise ValueError(f"decider: input must be a name, found {type(name).__name__}")
    good = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if not good or not abs(threshold) <= LIMIT:
        raise ValueError(f"decider: {name[:60]!r}: threshold must be a number")
    below, above = (_from_json(value[side], room - 1) for side in ("below", "above"))
    return Fork(name[:80], float(threshold), below, above)
