"""Small distillations, made-up fronts and made-up links for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from policies.congestion.networks import FOLDER
from policies.congestion.rule_inputs import INPUTS
from policies.distill.distil_config import ChoiceSettings, DistilConfig
from policies.distill.fronts import Candidate, as_rule
from policies.distill.judge import Judged
from policies.distill.refine import RefineSettings
from policies.distill.steps import Progress
from policies.distill.teacher_config import corrected_links
from policies.distill.weights import Network, read_network
from policies.distill.worlds import CORRECTED, World
from policies.rules.count import worst_path
from policies.rules.rule import Rule
from policies.rules.syntax import Binary, Expression, Number, Unary, Variable

WORLD = World(CORRECTED, corrected_links(steps=40))
LONG = World(CORRECTED, corrected_links(steps=250))
"""Long enough for a flood to be punished."""
SEEDS = tuple(range(100, 112))


class InterruptedHereError(Exception):
    """Stands for a kill."""


def teacher() -> Network:
    """Return the shipped teacher: what it does can be learnt from."""
    return read_network(FOLDER / "teacher_corrected.safetensors")


def small(**changes: Any) -> DistilConfig:
    """Return a distillation of seconds, with every kind of step there is."""
    fields: dict[str, Any] = {
        "world": WORLD,
        "name": "small",
        "contexts": 2,
        "explored": 60,
        "method": "linear",
        "terms": (1, 2, 4),
        "rounds": 1,
        "links_per_round": 80,
        "every": 4,
        "mix": 0.25,
        "rows": 300,
        "choice": ChoiceSettings(6, 2),
        "quick_choice": ChoiceSettings(4, 2),
        "decider_leaves": 3,
        "balances": (0.0, 0.7),
        "refine": RefineSettings(2, 4),
        "last": RefineSettings(2, 4),
        "refine_links": 4,
        "last_links": 4,
        "kept_links": 6,
        "judged_links": 8,
    }
    return replace(DistilConfig(), **{**fields, **changes})


def files_of(folder: Path) -> dict[str, bytes]:
    """Return name -> content of all files."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


class Watch:
    """Notes which steps were made and which were found, and may interrupt.

    Attributes:
        made: names of the steps that were done.
        found: names of those that were read.
        told: everything that was told.
    """

    def __init__(self, stop: Callable[[Progress], bool] = lambda progress: False) -> None:
        self.stop = stop
        self.made: list[str] = []
        self.found: list[str] = []
        self.told: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self.told.append(progress)
        if progress.done == 1.0 and not progress.text:
            (self.found if progress.found else self.made).append(progress.step)
        if self.stop(progress):
            raise InterruptedHereError


def chain(operations: int, name: str = "loss") -> Expression:
    """Return an expression of so many operations that cannot be simplified."""
    node: Expression = Variable(name)
    for _ in range(operations):
        node = Unary("tanh", node)
    return node


def wide(terms: int) -> Expression:
    """Return a balanced sum of that many inputs: terms - 1 operations, not simplified."""
    names = [list(INPUTS)[place % len(INPUTS)] for place in range(terms)]
    nodes: list[Expression] = [Variable(name) for name in names]
    while len(nodes) > 1:
        pairs = zip(nodes[::2], nodes[1::2], strict=False)
        rest = nodes[-1:] if len(nodes) % 2 else []
        nodes = [*(Binary("+", left, right) for left, right in pairs), *rest]
    return nodes[0]


def candidate(expression: Expression, error: float) -> Candidate:
    """Return a member of a front made by hand."""
    body = as_rule("candidate", expression).body
    return Candidate(body, error, worst_path(body))


def constant(value: float) -> Rule:
    """Return the rule that always does the same."""
    return as_rule("constant", Number(value))


def judged_of(rewards: Any) -> Judged:
    """Return a judgement of links whose ideal is 1."""
    values = np.asarray(rewards, np.float64)
    return Judged({}, values, np.ones_like(values), *(np.zeros_like(values) for _ in range(3)))


def judge_by(rewards: Callable[[Rule, Sequence[int]], Any]) -> Callable[..., Judged]:
    """Return what stands in for `judge_on`: rewards are a function of the rule and the seeds."""

    def judge_on(actor: Any, world: World, seeds: Sequence[int]) -> Judged:
        return judged_of(rewards(actor.rule, seeds))

    return judge_on
