"""The numbers of a rule refined on return: CMA-ES over its constants, on links of the environment.

Regression fits constants to the teacher's actions; here they are moved to where the rule itself
brings most. Every candidate meets the same links with the same losses, so that two differ by
nothing but their constants. Whether the result is taken is decided on other links, which no
candidate was made on: there it must be better than what was given.

N. Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv 1604.00772, as in the package `cmaes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.distill.actors import RuleActor
from policies.distill.choice import share_of
from policies.distill.constants import constants, rounded, with_constants
from policies.distill.judge import judge_on
from policies.distill.steps import Tell, unheard
from policies.distill.worlds import World
from policies.rules.rule import Rule
from policies.rules.syntax import RuleError
from sim.net.problems import ScenarioError, number, whole
from sim.streams import stream

PART = "RefineSettings"
WORST = 1e6
"""What a candidate that is no sound rule costs; shares are above -WORST everywhere."""
ZERO_SCALE = 0.01
"""Unit of a constant that is 0; those of others are their own magnitudes."""
FINALISTS = 3
"""Candidates that are judged on the kept links."""


@dataclass(frozen=True)
class RefineSettings:
    """Parameters of a refinement.

    Attributes:
        generations: of candidates.
        population: candidates in each.
        sigma: first standard deviation of a constant, as a share of its magnitude.
        seed: of the candidates.
        thresholds: whether numbers in comparisons are constants, too.
        digits: significant digits of the constants that are tried.
    """

    generations: int = 20
    population: int = 14
    sigma: float = 0.05
    seed: int = 0
    thresholds: bool = True
    digits: int = 4

    def check(self) -> None:
        """Check every field.

        Raises:
            ScenarioError: a field is out of range; the message names it.
        """
        whole(PART, "generations", self.generations, 1, 100_000)
        whole(PART, "population", self.population, 4, 10_000)
        number(PART, "sigma", self.sigma, above=0.0, below=100.0)
        whole(PART, "seed", self.seed)
        whole(PART, "digits", self.digits, 2, 17)
        if not isinstance(self.thresholds, bool):
            raise ScenarioError(f"{PART}: thresholds must be true or false")

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Refined:
    """What came of a refinement; shares are mean reward / mean ideal.

    Attributes:
        rule: the better one on the kept links.
        taken: whether that is a refined one.
        before: share of the given rule on the kept links.
        after: share of `rule` there.
        curve: best share on the search's links so far: of the given rule, then of each generation.
        judged: candidates that were run.
        refused: candidates that were not, as they are no sound rules.
    """

    rule: Rule
    taken: bool
    before: float
    after: float
    curve: tuple[float, ...]
    judged: int
    refused: int


def refine(
    rule: Rule,
    world: World,
    seeds: Sequence[int],
    settings: RefineSettings,
    keep: Sequence[int],
    tell: Tell = unheard,
) -> Refined:
    """Move a rule's constants to where it brings most.

    Args:
        rule: the rule; its structure stays as it is.
        world: environment and links.
        seeds: of the links that candidates are run on.
        settings: of the search.
        keep: seeds of the links that decide whether the result is taken.
        tell: is told of each generation.

    Raises:
        ScenarioError: a setting is out of range; the message names it.
    """
    settings.check()
    search = _Search(rule, world, seeds, settings)
    if search.start:
        search.run(tell)
    before = share_of(judge_on(RuleActor(rule), world, keep))
    best, after = rule, before
    for finalist in search.finalists():
        share = share_of(judge_on(RuleActor(finalist), world, keep))
        if share > after:
            best, after = finalist, share
    return Refined(
        best,
        best is not rule,
        before,
        after,
        tuple(search.curve),
        len(search.found),
        search.refused,
    )


class _Search:
    """CMA-ES in units of the constants' magnitudes, about the given constants."""

    def __init__(
        self, rule: Rule, world: World, seeds: Sequence[int], settings: RefineSettings
    ) -> None:
        self.rule, self.world, self.seeds, self.settings = rule, world, seeds, settings
        self.start = constants(rule.body, settings.thresholds)
        self.found: dict[Rule, float] = {}
        self.refused = 0
        self.curve = [self._share(rule)]

    def run(self, tell: Tell) -> None:
        """Go through all generations."""
        from cmaes import CMA

        settings = self.settings
        luck = stream(settings.seed, {"refine": "constants"}, "cma")
        # CMA-ES is not defined on a line: a second number that means nothing makes it a plane.
        optimiser = CMA(
            mean=np.zeros(max(2, len(self.start))),
            sigma=settings.sigma,
            seed=int(luck.integers(2**31)),
            population_size=settings.population,
        )
        for generation in range(settings.generations):
            asked = [optimiser.ask() for _ in range(settings.population)]
            optimiser.tell([(point, self._cost(point)) for point in asked])
            self.curve.append(max(self.found.values()))
            text = f"generation {generation + 1}: share {self.curve[-1]:.4f}"
            tell((generation + 1) / settings.generations, text)

    def finalists(self) -> list[Rule]:
        """Return the best of what is better than the given rule, the best one first."""
        better = [found for found in self.found if self.found[found] > self.curve[0]]
        return sorted(better, key=lambda found: -self.found[found])[:FINALISTS]

    def _cost(self, point: NDArray[np.float64]) -> float:
        candidate = self._candidate(point)
        if candidate is None:
            self.refused += 1
            return WORST
        return -self._share(candidate)

    def _candidate(self, point: NDArray[np.float64]) -> Rule | None:
        """Return the rule at a point, or None where interval analysis refuses it."""
        values = [
            rounded(value + float(step) * (abs(value) or ZERO_SCALE), self.settings.digits)
            for value, step in zip(self.start, point, strict=False)
        ]
        try:
            body = with_constants(self.rule.body, values, self.settings.thresholds)
            return replace(self.rule, body=body)
        except RuleError:
            return None

    def _share(self, candidate: Rule) -> float:
        """Return the share on the search's links; one that was run is not run again."""
        if candidate not in self.found:
            self.found[candidate] = share_of(judge_on(RuleActor(candidate), self.world, self.seeds))
        return self.found[candidate]
