"""A rule: what it reads, within which bounds, and what it gives. One that exists is safe."""

from __future__ import annotations

from dataclasses import dataclass

from policies.rules.intervals import Interval, bounds
from policies.rules.syntax import (
    MOST_NODES,
    Expression,
    Input,
    RuleError,
    Variable,
    check_bounds,
    check_name,
    hint,
    shown,
    walk,
)

MOST_INPUTS = 256


@dataclass(frozen=True)
class Rule:
    """A total function of named inputs; constructing one checks that it is.

    Each input is clamped to its bounds first, NaN to the lower one; the result is clamped to the
    bounds of the action. No value in between can exceed 1e100, so none is infinite or NaN.

    Attributes:
        name: for people and messages.
        low: lower bound of the action.
        high: upper bound of the action.
        inputs: what it may read, in the order of arrays and rows.
        body: the expression.

    Raises:
        RuleError: a name is unsound, used twice or not declared, bounds are unsound, the rule is
            too large, or a part of it may exceed 1e100.
    """

    name: str
    low: float
    high: float
    inputs: tuple[Input, ...]
    body: Expression

    def __post_init__(self) -> None:
        check_name(self.name, "rule")
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        object.__setattr__(self, "inputs", tuple(self.inputs))
        check_bounds(self.low, self.high, "the action")
        names = tuple(i.name for i in self.inputs)
        if not 1 <= len(names) <= MOST_INPUTS:
            raise RuleError(f"{len(names)} inputs; a rule declares 1 to {MOST_INPUTS}")
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise RuleError(f"input {shown(twice)} is declared twice; drop one")
        if self.body.size > MOST_NODES:
            raise RuleError(f"{self.body.size} nodes; a rule has at most {MOST_NODES}")
        for node in walk(self.body):
            if isinstance(node, Variable) and node.name not in names:
                raise RuleError(unknown_input(node.name, names))
        bounds(self.body, self.box)

    @property
    def box(self) -> dict[str, Interval]:
        """Name -> bounds of each input."""
        return {i.name: Interval(i.low, i.high) for i in self.inputs}


def unknown_input(name: str, known: tuple[str, ...]) -> str:
    """Return the message for an input that is not declared."""
    listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"unknown input {shown(name)}{hint(name, known)} (declared: {listed})"
