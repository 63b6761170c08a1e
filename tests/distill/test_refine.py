"""Refinement: it finds what is better, takes nothing that is worse on kept links, and repeats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.congestion.symbolic import FOLDER
from policies.distill import refine as refine_module
from policies.distill.constants import constants
from policies.distill.fronts import as_rule, inputs_of
from policies.distill.refine import RefineSettings, refine
from policies.rules.parse import read_rule
from policies.rules.rule import Rule
from policies.rules.syntax import (
    Binary,
    Comparison,
    Expression,
    If,
    Number,
    RuleError,
    Variable,
)
from sim.net.problems import ScenarioError
from tests.distill.small_distil import LONG, SEEDS, WORLD, judge_by

SEARCH = RefineSettings(generations=30, population=10, sigma=0.3)
LINKS, KEPT = (1, 2, 3), (4, 5, 6)


def plane(slope: float = 0.5, offset: float = 0.2) -> Rule:
    """Return a rule of two constants."""
    product = Binary("*", Number(slope), Variable("loss"))
    return as_rule("plane", Binary("+", product, Number(offset)))


def towards(target: Sequence[float], kept: Sequence[float] | None = None) -> Any:
    """Return a judge: the nearer the constants are to a target, the better, on kept links another.

    Every link sees the same.
    """

    def rewards(rule: Rule, seeds: Sequence[int]) -> Any:
        wanted = target if kept is None or tuple(seeds) == LINKS else kept
        away = np.array(constants(rule.body)) - np.array(wanted)
        return np.full(len(seeds), 1.0 - float(away @ away))

    return judge_by(rewards)


def test_it_finds_an_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refine_module, "judge_on", towards([0.8, 0.15]))
    found = refine(plane(), WORLD, LINKS, SEARCH, KEPT)
    assert found.taken
    assert constants(found.rule.body) == pytest.approx([0.8, 0.15], abs=0.01)
    assert found.before == pytest.approx(1.0 - 0.3**2 - 0.05**2)
    assert found.after == pytest.approx(1.0, abs=1e-3)
    assert list(found.curve) == sorted(found.curve)
    assert len(found.curve) == SEARCH.generations + 1
    assert found.curve[0] == pytest.approx(found.before)
    assert found.refused == 0
    assert replace(found.rule, body=plane().body) == plane()


def test_a_single_constant_is_refined_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refine_module, "judge_on", towards([0.3]))
    rule = as_rule("line", Binary("*", Number(0.5), Variable("loss")))
    found = refine(rule, WORLD, LINKS, SEARCH, KEPT)
    assert constants(found.rule.body) == pytest.approx([0.3], abs=0.01)


def test_a_constant_of_zero_can_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refine_module, "judge_on", towards([0.02]))
    rule = as_rule("limit", Binary("max", Number(0.0), Variable("loss_change")))
    found = refine(rule, WORLD, LINKS, replace(SEARCH, sigma=1.0), KEPT)
    assert constants(found.rule.body) == pytest.approx([0.02], abs=0.002)


def test_without_constants_nothing_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = as_rule("bare", Variable("loss"))
    monkeypatch.setattr(refine_module, "judge_on", judge_by(lambda rule, seeds: np.ones(3)))
    found = refine(rule, WORLD, LINKS, SEARCH, KEPT)
    assert (found.rule, found.taken, found.judged) == (rule, False, 1)
    assert found.curve == (1.0,)


@settings(deadline=None)
@given(
    target=st.tuples(*[st.floats(-3.0, 3.0)] * 2),
    kept=st.tuples(*[st.floats(-3.0, 3.0)] * 2),
    seed=st.integers(0, 100),
)
def test_kept_links_are_never_worse(
    target: tuple[float, float], kept: tuple[float, float], seed: int
) -> None:
    """Whatever the links of the search and the kept ones reward."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refine_module, "judge_on", towards(target, kept))
        search = RefineSettings(generations=4, population=6, seed=seed)
        found = refine(plane(), WORLD, LINKS, search, KEPT)
        after = refine_module.share_of(towards(target, kept)(Actor(found.rule), WORLD, KEPT))
    assert found.after == after
    assert found.after > found.before if found.taken else found.after == found.before
    assert found.taken == (found.rule != plane())


class Actor:
    """What a made-up judge asks of an actor."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule


def test_what_is_better_nowhere_else_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refine_module, "judge_on", towards([0.8, 0.15], kept=[0.5, 0.2]))
    found = refine(plane(), WORLD, LINKS, SEARCH, KEPT)
    assert not found.taken
    assert found.rule == plane()
    assert found.curve[-1] > found.curve[0] + 0.05


def test_unsound_candidates_cost_most_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many of the candidates exceed the limit of 1e100 within the bounds of their input."""
    monkeypatch.setattr(
        refine_module,
        "judge_on",
        judge_by(lambda rule, seeds: [1e98 / constants(rule.body)[0]] * 3),
    )

    def huge(factor: float) -> Rule:
        body = Binary("*", Number(factor), Variable("latency_ratio"))
        return Rule("huge", -1.0, 1.0, inputs_of(body), body)

    with pytest.raises(RuleError):
        huge(1.1e98)
    found = refine(huge(0.99e98), WORLD, LINKS, SEARCH, KEPT)
    assert found.refused > 0
    assert found.taken
    assert constants(found.rule.body)[0] < 0.9e98


def test_thresholds_stay_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    body: Expression = If(
        Comparison("<=", Variable("loss"), Number(0.25)), Number(0.5), Variable("loss")
    )
    rule = as_rule("branch", body)
    monkeypatch.setattr(refine_module, "judge_on", towards([0.2, 0.6]))
    fixed = refine(rule, WORLD, LINKS, replace(SEARCH, thresholds=False), KEPT)
    assert constants(fixed.rule.body) == pytest.approx([0.25, 0.6], abs=0.01)
    assert constants(fixed.rule.body)[0] == 0.25
    free = refine(rule, WORLD, LINKS, SEARCH, KEPT)
    assert constants(free.rule.body) == pytest.approx([0.2, 0.6], abs=0.01)


def test_numbers_have_few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refine_module, "judge_on", towards([0.81234567, 0.15432109]))
    found = refine(plane(), WORLD, LINKS, replace(SEARCH, digits=3), KEPT)
    assert all(float(f"{value:.2e}") == value for value in constants(found.rule.body))


def test_the_same_seed_gives_the_same_rule_on_real_links() -> None:
    rule = read_rule(FOLDER / "gentle.rule")
    search = RefineSettings(generations=3, population=4)
    told: list[float] = []
    one = refine(rule, LONG, SEEDS[:6], search, SEEDS[6:], lambda done, text: told.append(done))
    assert one == refine(rule, LONG, SEEDS[:6], search, SEEDS[6:])
    other = refine(rule, LONG, SEEDS[:6], replace(search, seed=1), SEEDS[6:])
    assert other.curve != one.curve
    assert one.after >= one.before
    assert told == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert one.judged <= 1 + 3 * 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generations": 0}, "generations must be"),
        ({"population": 3}, "population must be"),
        ({"sigma": float("nan")}, "sigma must be"),
        ({"sigma": 0.0}, "sigma must be"),
        ({"seed": -1}, "seed must be"),
        ({"digits": 1}, "digits must be"),
        ({"thresholds": 1}, "thresholds must be"),
    ],
)
def test_bad_settings_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=f"RefineSettings: {message}"):
        refine(plane(), WORLD, LINKS, replace(SEARCH, **change), KEPT)
