"""Symbolic regression by PyOperon: a genetic search for short expressions with small errors.

Operon (Burlacu, Kronberger, Kommenda, "Operon C++: an efficient genetic programming framework for
symbolic regression", GECCO 2020) evolves trees under two objectives, error and length, and fits
their constants by Levenberg-Marquardt. It computes in float32, hence standardised inputs. Its trees
are read node by node, the scale and intercept that it adds included, and never as text.

With one thread, no limit of time and a seed the same rows give the same front.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.distill.fronts import Front
from policies.distill.regression import front_of, samples, standard
from policies.distill.sums import BINARY, Sum, power, unary
from policies.rules.syntax import RuleError, shown
from sim.net.problems import ScenarioError, number, whole
from sim.streams import stream

PART = "OperonSettings"
NARY = {"+": "+", "-": "-", "*": "*", "/": "/", "fmin": "min", "fmax": "max"}
"""What nodes with two or more arguments are called -> the language's operation."""
UNARY = ("abs", "sqrt", "tanh", "exp", "log")
SYMBOLS = ("add", "sub", "mul", "div", "fmin", "fmax", *UNARY, "square")
"""What Operon may be allowed to use."""


@dataclass(frozen=True)
class OperonSettings:
    """Parameters of a search.

    Attributes:
        symbols: functions that expressions may have, of `SYMBOLS`.
        population: trees of a generation.
        generations: at most.
        evaluations: of trees on all rows, those of the fitting of constants included; at most.
        iterations: of Levenberg-Marquardt for each new tree.
        most_length: nodes of a tree.
        most_depth: levels of a tree.
        runs: searches, each with luck of its own; their fronts become one.
        held_out: share of the links whose rows only measure.
        centre: whether inputs are brought to mean 0; otherwise they are only scaled, so that a
            product of two inputs is as short in the tree as in the rule.
        digits: significant digits of a rule's numbers.
    """

    symbols: tuple[str, ...] = ("add", "sub", "mul", "div", "tanh", "fmin", "fmax", "abs")
    population: int = 1000
    generations: int = 1000
    evaluations: int = 300_000
    iterations: int = 3
    most_length: int = 40
    most_depth: int = 10
    runs: int = 1
    held_out: float = 0.25
    centre: bool = False
    digits: int = 4

    def check(self) -> None:
        """Check every field.

        Raises:
            ScenarioError: a field is out of range; the message names it.
        """
        for name in self.symbols:
            if name not in SYMBOLS:
                known = ", ".join(SYMBOLS)
                raise ScenarioError(f"{PART}: symbols has {shown(str(name))} (known: {known})")
        whole(PART, "symbols' count", len(self.symbols), 1)
        if ("fmin" in self.symbols) != ("fmax" in self.symbols):
            raise ScenarioError(f"{PART}: symbols must have both fmin and fmax, or neither")
        whole(PART, "population", self.population, 2, 10**6)
        whole(PART, "generations", self.generations, 1, 10**6)
        whole(PART, "evaluations", self.evaluations, self.population, 10**10)
        whole(PART, "iterations", self.iterations, 0, 1000)
        whole(PART, "most_length", self.most_length, 3, 200)
        whole(PART, "most_depth", self.most_depth, 2, 30)
        whole(PART, "runs", self.runs, 1, 100)
        whole(PART, "digits", self.digits, 1, 17)
        number(PART, "held_out", self.held_out, above=0.0, below=1.0)
        if not isinstance(self.centre, bool):
            raise ScenarioError(f"{PART}: centre must be true or false, got {self.centre!r}")


class Step(NamedTuple):
    """A node of a tree in postfix order.

    Attributes:
        kind: `constant`, `variable`, or what Operon calls the function: + - * / fmin tanh ...
        arity: how many arguments it takes; the first of them stands directly before it.
        value: of a constant; otherwise what the node's value is multiplied by.
        column: of a variable.
    """

    kind: str
    arity: int
    value: float
    column: int = -1


def operon_front(
    inputs: ArrayLike,
    names: Sequence[str],
    actions: ArrayLike,
    settings: OperonSettings,
    seed: int,
    links: ArrayLike | None = None,
) -> Front:
    """Return the Pareto front of rules that PyOperon finds.

    Args:
        inputs: [rows, k].
        names: of the k columns, inputs of `rule_inputs`.
        actions: [rows], to imitate.
        settings: of the search.
        seed: of the search, and of the choice of links to hold out.
        links: int [rows], on which link each row was seen; None: each row counts as a link.

    Raises:
        ValueError: a setting or a value is out of place, or no model can be written as a rule.
    """
    settings.check()
    luck = stream(seed, {}, "links held out of the regression")
    fit, held_out = samples(inputs, names, actions, links).split(settings.held_out, luck)
    shape = standard(fit, settings.centre)
    table, columns = shape.of(fit.inputs), shape.sums()
    models: list[list[Step]] = []
    for run in range(settings.runs):
        state = int(stream(seed, {"run": run}, "operon").integers(1 << 32))
        models += search(table, fit.actions, settings, state)
    return front_of(models, lambda model: sum_of(model, columns), fit, held_out, settings.digits)


def search(
    table: NDArray[np.float64], actions: NDArray[np.float64], settings: OperonSettings, state: int
) -> list[list[Step]]:
    """Return the trees of one search's front, each with its scale and intercept.

    Args:
        table: [rows, columns], standardised.
        actions: [rows].
        settings: of the search.
        state: seed of its generator.
    """
    regressor = fitted(table, actions, settings, state)
    columns = {key: place for place, key in enumerate(regressor.variables_)}
    return [steps_of(model["tree"], columns) for model in regressor.pareto_front_]


def fitted(
    table: NDArray[np.float64], actions: NDArray[np.float64], settings: OperonSettings, state: int
) -> Any:
    """Return PyOperon's regressor after the search."""
    from pyoperon.sklearn import SymbolicRegressor

    regressor = SymbolicRegressor(
        allowed_symbols=",".join((*settings.symbols, "constant", "variable")),
        objectives=["r2", "length"],
        optimizer="lm",
        optimizer_iterations=settings.iterations,
        population_size=settings.population,
        pool_size=settings.population,
        generations=settings.generations,
        max_evaluations=settings.evaluations,
        max_length=settings.most_length,
        max_depth=settings.most_depth,
        model_selection_criterion="mean_squared_error",
        n_threads=1,
        max_time=None,
        random_state=state,
    )
    return regressor.fit(table, actions)


def steps_of(tree: Any, columns: Mapping[int, int]) -> list[Step]:
    """Return the nodes of an Operon tree.

    They are told apart by name: the bindings of PyOperon 0.6.2 have the types of fmin and fmax
    exchanged, so that `NodeType.Fmin` is a node whose name, and whose value, is fmax.

    Args:
        tree: `pyoperon.Tree`.
        columns: hash of a variable -> its column.
    """
    return [
        Step(
            str(node.Name),
            int(node.Arity),
            float(node.Value),
            columns[node.HashValue] if node.IsVariable else -1,
        )
        for node in tree.Nodes
    ]


def sum_of(steps: Sequence[Step], columns: Sequence[Sum]) -> Sum:
    """Return the value of a tree.

    Args:
        steps: its nodes in postfix order.
        columns: what each column of the regression is in the units of its input.

    Raises:
        RuleError: the language has no such function, or the nodes are not one tree.
    """
    stack: list[Sum] = []
    for step in steps:
        if step.kind == "constant":
            stack.append(Sum(step.value))
        elif step.kind == "variable":
            stack.append(columns[step.column].scaled(step.value))
        elif not 1 <= step.arity <= len(stack):
            raise RuleError(f"{step.kind} has {step.arity} arguments, of {len(stack)} there are")
        else:
            arguments = [stack.pop() for _ in range(step.arity)]  # the first one is on top
            stack.append(_applied(step.kind, arguments).scaled(step.value))
    if len(stack) != 1:
        raise RuleError(f"the nodes make {len(stack)} trees, not one")
    return stack[0]


def _applied(kind: str, arguments: list[Sum]) -> Sum:
    """Return a function of arguments; `-` and `/` of one are its negative and its inverse."""
    first, *others = arguments
    if kind in NARY:
        if not others and kind in "-/":
            first, others = Sum(0.0 if kind == "-" else 1.0), [first]
        return reduce(BINARY[NARY[kind]], others, first)
    if kind != "square" and kind not in UNARY:
        raise RuleError(f"rules have no {shown(kind)}")
    if others:
        raise RuleError(f"{kind} has {len(arguments)} arguments, not 1")
    return power(first, 2) if kind == "square" else unary(kind, first)
