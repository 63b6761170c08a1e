"""From the rows of a context to a front of candidates, by the method that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from policies.congestion.rule_inputs import INPUTS
from policies.distill.distil_config import DistilConfig, plain
from policies.distill.fronts import Candidate, Front, pareto
from policies.distill.regression import Samples, finished, samples
from policies.distill.rollouts import Rollouts
from policies.rules.count import worst_path
from policies.rules.syntax import Expression, RuleError
from sim.streams import stream

HELD_OUT = 0.25
"""Share of the links that errors of sums and trees are measured on; searches have their own."""
DIGITS = 4
"""Significant digits of their numbers."""


@dataclass(frozen=True, eq=False)
class Task:
    """A regression.

    Attributes:
        given: rows of one context.
        config: of the distillation.
        quick: whether the rule is for the next roll-out only.
        seed: of this regression.
    """

    given: Samples
    config: DistilConfig
    quick: bool
    seed: int


# paper: symbolicpcc distillation
def fit(rollouts: Rollouts, config: DistilConfig, round_: int, context: int) -> Front:
    """Return the candidates for one context, or for any.

    Args:
        rollouts: all rows of links of the context, or all that there are.
        config: method, inputs, how many rows it sees.
        round_: number of the round; those before the last are quick.
        context: its number; that after the last one stands for all.

    Raises:
        ValueError: there are too few rows or links, or none of what was found can be a rule; the
            message names the context.
        ImportError: the method's package is not installed.
    """
    luck = stream(config.seed, {"distil": "front", "round": round_, "context": context}, "rows")
    seed = int(luck.integers(2**31))
    rows = rollouts.thinned(config.rows, luck)
    places = [list(INPUTS).index(name) for name in config.inputs]
    try:
        given = samples(rows.inputs[:, places], config.inputs, rows.labels, rows.links)
        return METHODS[config.method](Task(given, config, round_ < config.rounds, seed))
    except ValueError as error:
        raise ValueError(f"context {context}, round {round_}: {error}") from None


def settings_of(config: DistilConfig, round_: int) -> Any:
    """Return the settings of a round's regressions; JSON values."""
    quick = round_ < config.rounds
    return plain(
        {
            "operon": config.quick_operon if quick else config.operon,
            "pysr": config.quick_pysr if quick else config.pysr,
            "linear": config.terms,
            "tree": config.leaves,
        }[config.method]
    )


def _operon(task: Task) -> Front:
    from policies.distill.operon import operon_front

    rows = task.given
    settings = task.config.quick_operon if task.quick else task.config.operon
    return operon_front(rows.inputs, rows.names, rows.actions, settings, task.seed, rows.links)


def _pysr(task: Task) -> Front:
    from policies.distill.pysr import pysr_front

    rows = task.given
    settings = task.config.quick_pysr if task.quick else task.config.pysr
    return pysr_front(rows.inputs, rows.names, rows.actions, settings, task.seed, rows.links)


def _linear(task: Task) -> Front:
    from policies.distill.linear import linear_rule

    def made(rows: Samples, terms: int) -> Expression:
        return linear_rule(rows.inputs, rows.names, rows.actions, most_terms=terms)

    return _front(task, made, task.config.terms)


def _tree(task: Task) -> Front:
    from policies.distill.trees import fit_tree_rule

    def made(rows: Samples, leaves: int) -> Expression:
        return fit_tree_rule(rows.inputs, rows.names, rows.actions, leaves)

    return _front(task, made, task.config.leaves)


METHODS: dict[str, Callable[[Task], Front]] = {
    "operon": _operon,
    "pysr": _pysr,
    "linear": _linear,
    "tree": _tree,
}


def _front(task: Task, made: Callable[[Samples, int], Expression], sizes: Sequence[int]) -> Front:
    """Return the Pareto front of models of several sizes, measured on rows of other links."""
    learnt, held_out = task.given.split(HELD_OUT, np.random.default_rng(task.seed))
    found, refused = [], []
    for size in sizes:
        try:
            rule = finished(made(learnt, size), DIGITS)
        except RuleError as error:
            refused.append(str(error))
            continue
        found.append(Candidate(rule.body, held_out.error(rule), worst_path(rule.body)))
    if not found:
        raise ValueError(f"none of {len(refused)} models can be a rule: {refused[-1]}")
    return Front(pareto(found), len(refused))
