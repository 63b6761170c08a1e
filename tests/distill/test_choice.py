"""Choice: return counts, not error; of what cannot be told apart the cheapest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.congestion.symbolic import FOLDER
from policies.distill import choice as choice_module
from policies.distill.actors import RuleActor
from policies.distill.choice import WORTH, choose, lead, share_of
from policies.distill.judge import judge_on
from policies.rules.count import operations
from policies.rules.parse import read_rule
from policies.rules.syntax import Binary, Number, Unary, Variable
from tests.distill.small_distil import (
    LONG,
    SEEDS,
    WORLD,
    candidate,
    chain,
    judge_by,
    judged_of,
    wide,
)

GENTLE = read_rule(FOLDER / "gentle.rule").body


def test_return_counts_and_not_error() -> None:
    """Always rising repeats a made-up teacher without error, and floods every link."""
    front = [candidate(Number(1.0), 0.0), candidate(GENTLE, 0.5)]
    found = choose(front, LONG, SEEDS, 60)
    assert found.place == 1
    assert [one.error for one in found.tried] == [0.0, 0.5]
    flooding, gentle = found.tried
    assert gentle.share is not None
    assert flooding.share is not None
    assert gentle.share > flooding.share + 0.1
    assert flooding.behind is not None
    assert flooding.behind > 0.0
    assert gentle.behind == 0.0
    assert found.chosen == gentle


def test_what_is_told_is_what_the_judge_says() -> None:
    found = choose([candidate(GENTLE, 0.1)], WORLD, SEEDS, 60, name="mine")
    assert found.rule.name == "mine"
    assert found.chosen.share == share_of(judge_on(RuleActor(found.rule), WORLD, SEEDS))
    assert found.chosen.operations == operations(found.rule).worst_path


def test_of_equals_the_cheapest_is_taken() -> None:
    dear = Binary("*", Number(0.9999), GENTLE)
    found = choose([candidate(dear, 0.0), candidate(GENTLE, 0.1)], WORLD, SEEDS, 60)
    assert found.place == 1


def shares(monkeypatch: pytest.MonkeyPatch, table: dict[int, Any]) -> None:
    """Let a chain of n operations get the rewards table[n]."""

    def rewards(rule: Any, seeds: Any) -> Any:
        return np.asarray(table[operations(rule).worst_path])[: len(seeds)]

    monkeypatch.setattr(choice_module, "judge_on", judge_by(rewards))


@given(seed=st.integers(0, 1000), noise=st.sampled_from([0.0, 0.01, 0.3]))
def test_laws_of_the_choice(seed: int, noise: float) -> None:
    rng = np.random.default_rng(seed)
    costs = rng.permutation(np.arange(1, 9))[: rng.integers(1, 8)].tolist()
    means = rng.choice([0.2, 0.5, 0.9], len(costs))
    table = {c: m + noise * rng.normal(size=40) for c, m in zip(costs, means, strict=True)}
    front = [candidate(chain(cost), 1.0 / cost) for cost in costs]
    with pytest.MonkeyPatch.context() as patch:
        shares(patch, table)
        found = choose(front, WORLD, range(40), 60)
    average = {cost: float(np.mean(table[cost])) for cost in costs}
    best = max(average.values())
    cost = found.chosen.operations
    leader = max(average, key=lambda one: average[one])
    for one in costs:
        apart = lead(judged_of(table[leader]), judged_of(table[one]))
        if one < cost:
            assert apart > WORTH
        if one == cost:
            assert apart <= WORTH
    if noise == 0.0:
        assert average[cost] == pytest.approx(best)


def test_many_are_looked_at_on_few_links_first(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {cost: np.full(40, 0.1 * cost) for cost in range(1, 9)}
    shares(monkeypatch, table)
    front = [candidate(chain(cost), 1.0) for cost in range(1, 9)]
    told: list[float] = []
    found = choose(front, WORLD, range(40), 60, 3, tell=lambda done, text: told.append(done))
    assert found.chosen.operations == 8
    assert [one.share is not None for one in found.tried] == [False] * 5 + [True] * 3
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) == 11


@given(seed=st.integers(0, 200), gap=st.floats(-0.5, 0.5))
def test_the_lead_is_the_lower_end_of_an_interval(seed: int, gap: float) -> None:
    """By the normal approximation: mean - 1.96 standard errors, to within the resampling."""
    rng = np.random.default_rng(seed)
    common, own = rng.normal(size=200), 0.1 * rng.normal(size=200)
    ahead = judged_of(common + gap + own), judged_of(common)
    difference = gap + own
    error = difference.std() / np.sqrt(200)
    assert lead(*ahead) == pytest.approx(difference.mean() - 1.96 * error, abs=0.4 * error)
    assert lead(ahead[1], ahead[1]) == 0.0


def test_costs_are_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {cost: np.full(8, 0.1 * cost) for cost in range(1, 9)}
    shares(monkeypatch, table)
    front = [candidate(chain(cost), 1.0) for cost in range(1, 9)]
    found = choose(front, WORLD, range(8), 5)
    assert (found.chosen.operations, found.too_costly) == (5, 3)
    found = choose(front, WORLD, range(8), 5, most_total=4)
    assert (found.chosen.operations, found.too_costly) == (4, 4)
    with pytest.raises(ValueError, match=r"none of 2 candidates .* cheapest takes 4") as caught:
        choose(front[3:5], WORLD, range(8), 3)
    assert "\n" not in str(caught.value)


def test_no_candidate_is_one_message() -> None:
    with pytest.raises(ValueError, match="none of 0 candidates"):
        choose([], WORLD, SEEDS, 60)


def test_what_is_not_bounded_is_counted() -> None:
    from policies.distill.fronts import Candidate

    huge = Variable("latency_ratio")
    unbounded = Unary("exp", Unary("exp", huge))
    for _ in range(6):
        unbounded = Binary("*", unbounded, unbounded)
    bad = Candidate(unbounded, 0.0, operations_of(unbounded))
    found = choose([bad, candidate(GENTLE, 0.1)], WORLD, SEEDS, 500)
    assert (found.place, found.refused) == (1, 1)
    with pytest.raises(ValueError, match="1 are not bounded"):
        choose([bad], WORLD, SEEDS, 500)


def operations_of(node: Any) -> int:
    from policies.rules.count import worst_path

    return worst_path(node)


def test_the_same_call_gives_the_same_choice() -> None:
    front = [candidate(GENTLE, 0.5), candidate(wide(4), 0.4), candidate(chain(3), 0.3)]
    assert choose(front, WORLD, SEEDS, 60, 2) == choose(front, WORLD, SEEDS, 60, 2)
