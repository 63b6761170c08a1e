"""How the results of a distillation's steps are kept: rules as text, what is known of them as JSON.

Reading trusts nothing: rules are parsed, and whatever else is not as it was written is refused.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from policies.distill.choice import Choice, Tried
from policies.distill.contexts import Context, read_contexts, write_contexts
from policies.distill.decider import Accuracy, Decider, read_decider, write_decider
from policies.distill.fronts import Candidate, read_front, write_front
from policies.distill.refine import Refined
from policies.distill.rollouts import Rollouts, read_rollouts, write_rollouts
from policies.distill.steps import Kind
from policies.distill.storage import read_json, write_bytes, write_json
from policies.rules.parse import parse_rule, read_rule
from policies.rules.rule import Rule
from policies.rules.write import text_of


@dataclass(frozen=True)
class Round:
    """The rule of a round of DAgger, and how good it is.

    Attributes:
        rule: assembled, not refined.
        rows: of roll-outs so far, over all contexts.
        error: mean squared error of the chosen members on held-out links; mean over contexts.
        share: mean reward / mean ideal of the rule, on links on which every round is judged.
        median: median link's share of the ideal there.
    """

    rule: Rule
    rows: int
    error: float
    share: float
    median: float


def write_rule(path: Path, rule: Rule) -> None:
    """Put a rule's text at `path`.

    Raises:
        OSError: the folder cannot be written.
        RuleError: its text is too long.
    """
    write_bytes(path, text_of(rule).encode())


def _write_rollouts(path: Path, rollouts: Rollouts) -> None:
    write_rollouts(path, rollouts, {})


def _write_contexts(path: Path, contexts: tuple[Context, ...]) -> None:
    write_contexts(path, contexts)


def _write_choice(path: Path, choice: Choice) -> None:
    tried = [asdict(one) for one in choice.tried]
    told = {"place": choice.place, "refused": choice.refused, "too_costly": choice.too_costly}
    write_json(path, {"rule": text_of(choice.rule), **told, "tried": tried})


def _read_choice(path: Path) -> Choice:
    told = read_json(path)
    tried = tuple(Tried(**one) for one in told["tried"])
    for one in tried:
        _check(one.first_share, one.error, one.share or 0.0, one.behind or 0.0)
    rule = parse_rule(told["rule"], str(path))
    choice = Choice(rule, int(told["place"]), tried, int(told["refused"]), int(told["too_costly"]))
    if choice.place not in {one.place for one in tried}:
        raise ValueError(f"place {choice.place} is not among those that were tried")
    return choice


def _write_refined(path: Path, refined: Refined) -> None:
    told = {name: getattr(refined, name) for name in Refined.__dataclass_fields__}
    write_json(path, {**told, "rule": text_of(refined.rule)})


def _read_refined(path: Path) -> Refined:
    told = read_json(path)
    curve = tuple(float(value) for value in told["curve"])
    _check(told["before"], told["after"], *curve)
    if not isinstance(told["taken"], bool):
        raise ValueError("taken must be true or false")
    rule, counts = parse_rule(told["rule"], str(path)), (int(told["judged"]), int(told["refused"]))
    return Refined(rule, told["taken"], told["before"], told["after"], curve, *counts)


def _write_round(path: Path, found: Round) -> None:
    told = {name: getattr(found, name) for name in Round.__dataclass_fields__}
    write_json(path, {**told, "rule": text_of(found.rule)})


def _read_round(path: Path) -> Round:
    told = read_json(path)
    numbers = [told[name] for name in ("error", "share", "median")]
    _check(*numbers)
    return Round(parse_rule(told["rule"], str(path)), int(told["rows"]), *numbers)


def _write_decider(path: Path, decider: Decider) -> None:
    write_decider(path, decider)


def _write_accuracy(path: Path, accuracy: Accuracy) -> None:
    told = {"over_rows": accuracy.over_rows, "matrix": accuracy.matrix.tolist()}
    write_json(path, told)


def _read_accuracy(path: Path) -> Accuracy:
    told = read_json(path)
    rows = [[float(value) for value in row] for row in told["matrix"]]
    _check(told["over_rows"], *(value for row in rows for value in row))
    if any(len(row) != len(rows) for row in rows):
        raise ValueError("matrix must have as many columns as rows")
    return Accuracy(told["over_rows"], np.array(rows))


def _check(*values: Any) -> None:
    for value in values:
        if type(value) not in (int, float) or not math.isfinite(value):
            raise ValueError(f"{value!r:.40} is not a finite number")


ROLLOUTS: Kind[Rollouts] = Kind((".safetensors", ".json"), _write_rollouts, read_rollouts)
CONTEXTS: Kind[tuple[Context, ...]] = Kind((".json",), _write_contexts, read_contexts)
FRONT: Kind[list[Candidate]] = Kind((".json",), write_front, read_front)
CHOICE: Kind[Choice] = Kind((".json",), _write_choice, _read_choice)
REFINED: Kind[Refined] = Kind((".json",), _write_refined, _read_refined)
ROUND: Kind[Round] = Kind((".json",), _write_round, _read_round)
DECIDER: Kind[Decider] = Kind((".json",), _write_decider, read_decider)
RULE: Kind[Rule] = Kind((".rule",), write_rule, read_rule)
ACCURACY: Kind[Accuracy] = Kind((".json",), _write_accuracy, _read_accuracy)
