"""Which member of a Pareto front becomes the rule: by what it brings on links, not by its error.

A regression measures how well an expression repeats the teacher's actions, and a small error in
the wrong place can cost all of the return. So members are run in the environment, all on the same
links. Among those whose return cannot be told from the best one's, the cheapest is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.distill.actors import RuleActor
from policies.distill.fronts import Candidate, as_rule
from policies.distill.judge import Judged, judge_on
from policies.distill.steps import Tell, unheard
from policies.distill.worlds import World
from policies.rules.count import operations
from policies.rules.rule import Rule
from policies.rules.syntax import RuleError
from sim.streams import stream

SHORTLIST = 12
FIRST_LOOK = 4
"""The first look is on this part of the links."""
WORTH = 1e-3
"""Mean share that is not worth an operation."""
RESAMPLES = 2000
TAIL = 2.5
"""Of the differences of resampled means, per cent: where the 95 % interval begins."""


@dataclass(frozen=True)
class Tried:
    """A member of the front that could become the rule.

    Attributes:
        place: in the front.
        operations: of the rule made of it, on its costliest path.
        error: on rows, as the front has it.
        first_share: mean reward / mean ideal on the links of the first look.
        share: the same on all links; None where the first look was the last.
        behind: how much mean share the best one has more, at least: the lower end of the 95 %
            interval over links. Up to `WORTH` the two count as equal.
    """

    place: int
    operations: int
    error: float
    first_share: float
    share: float | None = None
    behind: float | None = None


@dataclass(frozen=True)
class Choice:
    """What was chosen, and of what.

    Attributes:
        rule: the chosen one.
        place: its place in the front.
        tried: all that were run, in the order of the front.
        refused: members that are no sound rule on the bounds of their inputs.
        too_costly: members that take too many operations.
    """

    rule: Rule
    place: int
    tried: tuple[Tried, ...]
    refused: int
    too_costly: int

    @property
    def chosen(self) -> Tried:
        """What is known of the chosen member."""
        return next(one for one in self.tried if one.place == self.place)


def choose(
    front: Sequence[Candidate],
    world: World,
    seeds: Sequence[int],
    most_operations: int,
    shortlist: int = SHORTLIST,
    *,
    most_total: int | None = None,
    name: str = "rule",
    tell: Tell = unheard,
) -> Choice:
    """Run the members of a front on the same links and choose one.

    If there are more than `shortlist` members, all are run on the first quarter of the links, and
    the best of them on all.

    Args:
        front: candidates.
        world: environment and links.
        seeds: of the links.
        most_operations: on the costliest path of the rule.
        shortlist: how many are run on all links, at least 1.
        most_total: operations in the whole rule; None: as on a path.
        name: of the rule.
        tell: is told of each run.

    Raises:
        ValueError: no member can be taken; the message says why.
    """
    total = most_operations if most_total is None else most_total
    rules, refused, too_costly = _sound(front, name, most_operations, total)
    count = max(1, len(seeds) // FIRST_LOOK) if len(rules) > shortlist else len(seeds)
    runs = len(rules) + (shortlist if count < len(seeds) else 0)
    judged: dict[int, Judged] = {}
    for done, (place, rule) in enumerate(rules.items()):
        judged[place] = judge_on(RuleActor(rule), world, seeds[:count])
        tell((done + 1) / runs, _said(rule, judged[place]))
    first = {place: share_of(found) for place, found in judged.items()}
    if count < len(seeds):
        best = sorted(rules, key=lambda place: (-first[place], place))[:shortlist]
        judged = {}
        for done, place in enumerate(sorted(best)):
            judged[place] = judge_on(RuleActor(rules[place]), world, seeds)
            tell((len(rules) + done + 1) / runs, _said(rules[place], judged[place]))
    leader = max(judged, key=lambda place: (share_of(judged[place]), -place))
    tried = []
    for place, rule in rules.items():
        cost, error = operations(rule).worst_path, front[place].error
        one = Tried(place, cost, error, first[place])
        if place in judged:
            behind = lead(judged[leader], judged[place])
            one = replace(one, share=share_of(judged[place]), behind=behind)
        tried.append(one)
    equal = [one for one in tried if one.behind is not None and one.behind <= WORTH]
    cheapest = min(equal, key=lambda one: (one.operations, -(one.share or 0.0), one.place))
    return Choice(rules[cheapest.place], cheapest.place, tuple(tried), refused, too_costly)


def share_of(judged: Judged) -> float:
    """Return mean reward / mean ideal."""
    return float(judged.reward.sum() / judged.ideal.sum())


def lead(best: Judged, other: Judged) -> float:
    """Return by how much mean share one is ahead of another on the same links, at least.

    It is the lower end of the 95 % interval, by resampling links (the paired percentile bootstrap:
    Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13).
    """
    ahead: NDArray[Any] = (best.reward - other.reward) / best.ideal.mean()
    if not ahead.any():
        return 0.0
    luck = stream(0, {"statistic": "lead"}, "bootstrap")
    drawn = luck.integers(len(ahead), size=(RESAMPLES, len(ahead)))
    return float(np.percentile(ahead[drawn].mean(axis=1), TAIL))


def _sound(
    front: Sequence[Candidate], name: str, most_operations: int, most_total: int
) -> tuple[dict[int, Rule], int, int]:
    """Return place -> rule of the members that can be taken, and how many cannot."""
    rules: dict[int, Rule] = {}
    refused, least = 0, []
    for place, candidate in enumerate(front):
        try:
            rule = as_rule(name, candidate.expression)
        except RuleError:
            refused += 1
            continue
        cost = operations(rule)
        if cost.worst_path <= most_operations and cost.total <= most_total:
            rules[place] = rule
        else:
            least.append(cost.worst_path)
    if not rules:
        shortest = f", the cheapest takes {min(least)}" if least else ""
        raise ValueError(
            f"choice: none of {len(front)} candidates is a rule of at most {most_operations} "
            f"operations on a path and {most_total} in all ({refused} are not bounded{shortest}); "
            "let the regression look for shorter expressions, or allow more operations"
        )
    return rules, refused, len(least)


def _said(rule: Rule, judged: Judged) -> str:
    return f"{operations(rule).worst_path} operations: share {share_of(judged):.3f}"
