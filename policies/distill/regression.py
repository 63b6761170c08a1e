"""What regressions share: rows that are checked and split by link, and rules made of their models.

Each regression sees standardised inputs of some links. What it finds is written in the inputs' own
units, with few digits, and measured as the rule that it is, on the other links.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.congestion.rule_inputs import INPUTS
from policies.distill.constants import with_digits
from policies.distill.fronts import HIGH, LOW, NAME, Candidate, Front, as_rule, pareto
from policies.distill.sums import Sum, variable
from policies.registry import nearest
from policies.rules.count import worst_path
from policies.rules.evaluate import evaluate_many
from policies.rules.rule import Rule
from policies.rules.syntax import (
    Binary,
    Expression,
    If,
    RuleError,
    Unary,
    shown,
)

Values = NDArray[np.float64]
Model = TypeVar("Model")

IDLE = 1e-3
"""An operation that moves actions by less (root mean square) is left out."""
MOST_TO_PRUNE = 2000
"""Rows on which that is measured."""
LEAST_SPREAD = 1e-6
"""A column that spans less than this part of its mean (of 1, if that is larger) is constant."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Rows of the table of rule inputs, each with the action to imitate; all checked.

    Attributes:
        inputs: float64[rows, k], within the bounds of `rule_inputs`.
        names: of the columns.
        actions: float64[rows], within [-1, 1].
        links: int64[rows], on which link a row was seen.
    """

    inputs: Values
    names: tuple[str, ...]
    actions: Values
    links: NDArray[np.int64]

    def of(self, chosen: NDArray[np.bool_]) -> Samples:
        """Return the chosen rows."""
        rows = self.inputs[chosen], self.names, self.actions[chosen], self.links[chosen]
        return Samples(*rows)

    def split(self, share: float, luck: np.random.Generator) -> tuple[Samples, Samples]:
        """Return the rows of most links, and those of a share of the links, at least of one.

        Raises:
            ValueError: there is only one link, or the rows of most links have all the same action.
        """
        links = np.unique(self.links)
        if len(links) < 2:
            raise ValueError("links: all rows are of one link, so that none can be held out")
        count = min(max(1, round(share * len(links))), len(links) - 1)
        out = np.isin(self.links, luck.choice(links, count, replace=False))
        fit = self.of(~out)
        _check_vary(fit.actions)
        return fit, self.of(out)

    def answers(self, rule: Rule) -> Values:
        """Return a rule's actions, float64[rows]."""
        columns = dict(zip(self.names, self.inputs.T, strict=True))
        known = {given.name: np.full(len(self.actions), given.low) for given in rule.inputs}
        return evaluate_many(rule, known | columns)

    def error(self, rule: Rule) -> float:
        """Return the mean squared difference between a rule's actions and those to imitate."""
        return float(np.mean((self.answers(rule) - self.actions) ** 2))


@dataclass(frozen=True, eq=False)
class Standard:
    """Inputs brought to mean 0 (or left where they are) and standard deviation 1.

    Attributes:
        places: of the columns that vary; the others are left out.
        names: theirs.
        mean: float64, what is subtracted.
        scale: float64, what is divided by.
    """

    places: tuple[int, ...]
    names: tuple[str, ...]
    mean: Values
    scale: Values

    def of(self, inputs: Values) -> Values:
        """Return float64[rows, columns that vary]."""
        return (inputs[:, list(self.places)] - self.mean) / self.scale

    def sums(self) -> list[Sum]:
        """Return each standardised column in the units of its input."""
        return [
            variable(name).plus(Sum(float(mean)), -1.0).divided(float(scale))
            for name, mean, scale in zip(self.names, self.mean, self.scale, strict=True)
        ]


def samples(
    inputs: ArrayLike, names: Sequence[str], actions: ArrayLike, links: ArrayLike | None = None
) -> Samples:
    """Return checked rows.

    Args:
        inputs: [rows, k].
        names: of the k columns, inputs of `rule_inputs`.
        actions: [rows], to imitate.
        links: int [rows], on which link each was seen; None: each row counts as a link.

    Raises:
        ValueError: there is nothing to learn from, or a value is out of place; the message names
            it.
    """
    names = tuple(names)
    table, wanted = _numbers(inputs, "inputs"), _numbers(actions, "actions")
    if table.ndim != 2 or table.shape[1] != len(names) or not names:
        raise ValueError(f"inputs: shape {table.shape} does not fit {len(names)} names")
    if wanted.shape != table.shape[:1]:
        raise ValueError(f"actions: shape {wanted.shape} does not fit {len(table)} rows")
    if len(wanted) < 2:
        raise ValueError(f"inputs: {len(wanted)} rows; a regression needs at least 2")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"names: {shown(str(name))} is there twice")
        if name not in INPUTS:
            near = nearest(name, INPUTS)
            hint = f"; did you mean {near!r}?" if near else ""
            raise ValueError(f"names: rules have no input {shown(str(name))}{hint}")
    for name, column in zip(names, table.T, strict=True):
        _check_within(column, *INPUTS[name][:2], f"inputs: {name}")
    _check_within(wanted, LOW, HIGH, "actions: the action")
    _check_vary(wanted)
    return Samples(table, names, wanted, _links(links, len(wanted)))


def standard(given: Samples, centre: bool = True) -> Standard:
    """Return what standardises these rows' inputs.

    Raises:
        ValueError: no column varies.
    """
    table = given.inputs
    spread = LEAST_SPREAD * np.maximum(1.0, np.abs(table.mean(axis=0)))
    places = np.flatnonzero(np.ptp(table, axis=0) > spread)
    if not len(places):
        raise ValueError("inputs: every column is constant, so that there is nothing to learn from")
    mean = table.mean(axis=0)[places] if centre else np.zeros(len(places))
    names = tuple(given.names[place] for place in places)
    return Standard(tuple(places.tolist()), names, mean, table.std(axis=0)[places])


def front_of(
    models: Iterable[Model],
    convert: Callable[[Model], Sum],
    fit: Samples,
    held_out: Samples,
    digits: int,
) -> Front:
    """Return the Pareto front of a regression's models, measured as rules on rows of other links.

    Args:
        models: whatever the regression found.
        convert: writes one in the units of the inputs.
        fit: rows of the regression; operations that do next to nothing on them are left out.
        held_out: rows to measure on.
        digits: significant digits of a rule's numbers.

    Raises:
        ValueError: no model can be written as a rule.
    """
    found, refused = [], []
    for model in models:
        try:
            rule = pruned(finished(convert(model).expression(), digits), fit)
            rule = finished(rule.body, digits)
        except RuleError as error:
            refused.append(str(error))
            continue
        found.append(Candidate(rule.body, held_out.error(rule), worst_path(rule.body)))
    if not found:
        why = refused[-1] if refused else "there are none"
        raise ValueError(f"none of {len(refused)} models can be written as a rule: {why}")
    return Front(pareto(found), len(refused))


def pruned(rule: Rule, given: Samples, idle: float = IDLE) -> Rule:
    """Return a rule without the operations that do next to nothing on these rows.

    A regression leaves terms of 1e-9 and limits that are never met. Together, what is left out
    moves the actions by at most `idle`, as a root mean square.
    """
    few = given.of(np.arange(len(given.actions)) % -(-len(given.actions) // MOST_TO_PRUNE) == 0)
    wanted = few.answers(rule)
    while True:
        for expression in _with_one_less(rule.body):
            try:
                trial = as_rule(NAME, expression)
            except RuleError:  # what was left out kept it bounded
                continue
            change = float(np.sqrt(np.mean((few.answers(trial) - wanted) ** 2)))
            if change <= idle and worst_path(trial.body) < worst_path(rule.body):
                rule = trial
                break
        else:
            return rule


def _with_one_less(node: Expression) -> Iterator[Expression]:
    """Yield the expressions in which one operation gives one of its operands."""
    match node:
        case Unary(kind, operand):
            yield operand
            yield from (Unary(kind, less) for less in _with_one_less(operand))
        case Binary(kind, left, right):
            yield left
            yield right
            yield from (Binary(kind, less, right) for less in _with_one_less(left))
            yield from (Binary(kind, left, less) for less in _with_one_less(right))
        case If(test, then, otherwise):
            yield then
            yield otherwise
            yield from (If(test, less, otherwise) for less in _with_one_less(then))
            yield from (If(test, then, less) for less in _with_one_less(otherwise))


def finished(expression: Expression, digits: int) -> Rule:
    """Return an expression as a rule, simplified, every number of few significant digits.

    Raises:
        RuleError: it is not bounded, or too large.
    """
    while True:  # fewer digits may make a weight 1, and that may let two numbers meet
        rule = as_rule(NAME, expression)
        expression = with_digits(rule.body, digits)
        if expression == rule.body:
            return rule


def _numbers(values: ArrayLike, what: str) -> Values:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{what}: is not an array of numbers") from None


def _links(links: ArrayLike | None, rows: int) -> NDArray[np.int64]:
    if links is None:
        return np.arange(rows)
    found = np.asarray(links)
    if found.shape != (rows,) or found.dtype.kind not in "iu":
        raise ValueError(
            f"links: must be {rows} integers, one for each row, "
            f"got shape {found.shape} of {found.dtype}"
        )
    return found.astype(np.int64)


def _check_within(values: Values, low: float, high: float, what: str) -> None:
    bad = np.flatnonzero(~((values >= low) & (values <= high)))
    if len(bad):
        raise ValueError(
            f"{what} of row {bad[0]} is {values[bad[0]]:g}, which is not within [{low:g}, {high:g}]"
        )


def _check_vary(actions: Values) -> None:
    if np.ptp(actions) == 0.0:
        raise ValueError(f"actions: all are {actions[0]:g}, so that there is nothing to learn")
