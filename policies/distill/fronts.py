"""Candidates for a rule, what each gets wrong and costs, and which of them none other beats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from policies.congestion.rule_inputs import INPUTS
from policies.distill.storage import read_json, write_json
from policies.registry import UnknownNameError
from policies.rules.count import worst_path
from policies.rules.parse import parse_rule
from policies.rules.rule import Rule
from policies.rules.simplify import simplify
from policies.rules.syntax import Expression, Input, Variable, walk
from policies.rules.write import text_of

LOW, HIGH = -1.0, 1.0
"""Bounds of an action."""
SCHEMA = 1
MOST_CANDIDATES = 1000
NAME = "candidate"
"""What a candidate is called until it is chosen."""


@dataclass(frozen=True)
class Candidate:
    """An expression over the inputs of `rule_inputs` that could become a rule.

    Attributes:
        expression: simplified, accepted by interval analysis.
        error: mean squared difference from the teacher's actions, on links that the regression
            did not see.
        operations: on its costliest path.

    Raises:
        ValueError: the error is not a number of at least 0, or the operations are miscounted.
    """

    expression: Expression
    error: float
    operations: int

    def __post_init__(self) -> None:
        if not isinstance(self.error, float) or not 0.0 <= self.error < math.inf:
            raise ValueError(f"candidate: error must be a number >= 0, got {self.error!r}")
        counted = worst_path(self.expression)
        if type(self.operations) is not int or self.operations != counted:
            raise ValueError(f"candidate: {self.operations!r} operations, counted {counted}")


class Front(list[Candidate]):
    """Candidates, and how many models of the regression could not be written as a rule."""

    def __init__(self, candidates: Iterable[Candidate] = (), dropped: int = 0) -> None:
        super().__init__(candidates)
        self.dropped = dropped


def pareto(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return those that no other one beats, by operations; errors fall along the list.

    One beats another that has neither fewer operations nor a smaller error. Of equals the first
    stays.
    """
    kept: list[Candidate] = []
    for one in sorted(candidates, key=lambda c: (c.operations, c.error)):
        if not kept or one.error < kept[-1].error:
            kept.append(one)
    return kept


def as_rule(name: str, expression: Expression) -> Rule:
    """Return the rule of an expression over the inputs of `rule_inputs`, simplified.

    It declares the inputs that it uses, in the order and with the bounds of the table; one that
    uses none declares the first.

    Raises:
        UnknownNameError: the table has no such input.
        RuleError: the expression is not bounded, or too large.
    """
    rule = Rule(name, LOW, HIGH, inputs_of(expression), expression)
    small = simplify(rule, exact=False)
    return replace(small, inputs=inputs_of(small.body))


def inputs_of(expression: Expression) -> tuple[Input, ...]:
    """Return the inputs that an expression uses as the table bounds them; at least the first.

    Raises:
        UnknownNameError: the table has no such input.
    """
    used = {node.name for node in walk(expression) if isinstance(node, Variable)}
    for name in sorted(used):
        if name not in INPUTS:
            raise UnknownNameError("input", name, INPUTS)
    names = [name for name in INPUTS if name in used] or [next(iter(INPUTS))]
    return tuple(Input(name, *INPUTS[name][:2]) for name in names)


def write_front(path: Path, front: Sequence[Candidate]) -> None:
    """Put a front at `path` as JSON: of each candidate its rule, error and operations.

    Raises:
        RuleError: a candidate is no sound rule.
        OSError: the file cannot be written.
    """
    rows = [
        {
            "rule": text_of(Rule(NAME, LOW, HIGH, inputs_of(one.expression), one.expression)),
            "error": one.error,
            "operations": one.operations,
        }
        for one in front
    ]
    dropped = front.dropped if isinstance(front, Front) else 0
    write_json(path, {"schema": SCHEMA, "dropped": dropped, "candidates": rows})


def read_front(path: Path) -> Front:
    """Return the front in a file of `write_front`, checked.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no sound front; the message names file and place.
    """
    told = read_json(path)
    if set(told) != {"schema", "dropped", "candidates"} or told["schema"] != SCHEMA:
        raise ValueError(f"{path}: is not a front of schema {SCHEMA}; make it again")
    dropped, rows = told["dropped"], told["candidates"]
    if not isinstance(dropped, int) or isinstance(dropped, bool) or dropped < 0:
        raise ValueError(f"{path}: dropped must be an integer >= 0, got {dropped!r}")
    if not isinstance(rows, list) or len(rows) > MOST_CANDIDATES:
        raise ValueError(f"{path}: candidates must be a list of at most {MOST_CANDIDATES}")
    found = [_candidate(row, f"{path}: candidate {place}") for place, row in enumerate(rows)]
    return Front(found, dropped)


def _candidate(row: Any, where: str) -> Candidate:
    fields = {"rule", "error", "operations"}
    if not isinstance(row, dict) or set(row) != fields or not isinstance(row["rule"], str):
        raise ValueError(f"{where}: must have rule (a text), error and operations")
    rule = parse_rule(row["rule"], where)
    try:
        if (rule.low, rule.high, rule.inputs) != (LOW, HIGH, inputs_of(rule.body)):
            raise ValueError("its inputs or bounds are not those of the table")
        return Candidate(rule.body, row["error"], row["operations"])
    except (ValueError, UnknownNameError) as error:
        raise ValueError(f"{where}: {error}") from None
