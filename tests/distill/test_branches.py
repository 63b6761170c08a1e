"""Deciders: rules taken apart, answers counted, and what each way to decide brings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from policies.congestion.rule_inputs import EMPTY, INPUTS
from policies.distill.branches import Branches, Counted, decide_by, decided, taken_apart, truth_of
from policies.distill.contexts import Context
from policies.distill.entrants import actor_of
from policies.distill.teacher_config import corrected_links
from policies.distill.worlds import CORRECTED, World, seeds_of
from policies.rules.evaluate import evaluate_many
from policies.rules.parse import parse_rule
from policies.rules.rule import Rule

WORLD = World(CORRECTED, corrected_links(steps=40))
SEEDS = seeds_of("train", 0, 12)
CUT_BPS = 1e7
SLOW = Context({"bandwidth_bps": (-math.inf, CUT_BPS)})
FAST = Context({"bandwidth_bps": (CUT_BPS, math.inf)})


def rule(body: str, low: float = -1, high: float = 1, name: str = "f") -> Rule:
    heads = "input loss_slow [0, 1]\ninput latency_ratio [1, 100]\ninput received_mbps [0, 10000]"
    return parse_rule(f"triptych-rule 1\nname {name}\naction [{low}, {high}]\n{heads}\n{body}")


DECIDER = rule("if received_mbps <= 9 then 0 else if loss_slow <= 0.1 then 1 else 0", 0, 1)
WHOLE = rule(
    "if received_mbps <= 8 then 0.5 else if loss_slow <= 0.2 then 1.1 - latency_ratio else 0.25"
)


def table(count: int = 200) -> np.ndarray:
    found = np.tile(np.array(EMPTY, float), (count, 1))
    luck = np.random.default_rng(0)
    for name, high in (("loss_slow", 0.5), ("latency_ratio", 3.0), ("received_mbps", 20.0)):
        found[:, list(INPUTS).index(name)] = luck.uniform(0, high, count)
    return found


def act(one: Rule, rows: np.ndarray) -> np.ndarray:
    return evaluate_many(one, {name: rows[:, i] for i, name in enumerate(INPUTS)})


def test_a_rule_taken_apart_decides_as_the_whole() -> None:
    """Thresholds are the rule's own, and both leaves of context 0 stay what they are."""
    found = taken_apart(WHOLE, DECIDER, [SLOW, FAST])
    assert found.of == (0, 1, 0)
    assert found.first == (0, 1)
    rows = table()
    labels = decide_by(found.decider)(rows)
    assert set(labels.tolist()) == {0, 1, 2}
    answers = np.stack([act(one, rows) for one in found.policies if isinstance(one, Rule)])
    assert (answers[labels, np.arange(len(rows))] == act(WHOLE, rows)).all()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("0.5", "does not begin with the questions"),
        ("if loss_slow <= 9 then 0 else 1", "does not begin with the questions"),
        ("if received_mbps < 9 then 0 else 1", "does not begin with the questions"),
        ("if received_mbps <= 9 then 0 else 1", "does not begin with the questions"),
    ],
)
def test_a_rule_that_asks_something_else_is_refused(body: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        taken_apart(rule(body), DECIDER, [SLOW, FAST])


@pytest.mark.parametrize(
    ("decider", "message"),
    [
        ("if received_mbps <= 9 then 0 else if loss_slow <= 0.1 then 0.5 else 0", "no number of"),
        ("if received_mbps <= 9 then 0 else if loss_slow <= 0.1 then -1 else 0", "no number of"),
        ("if received_mbps <= 9 then 0 else if loss_slow <= 0.1 then loss_slow else 0", "no num"),
        ("if received_mbps <= 9 then 0 else if loss_slow <= 0.1 then 2 else 0", "without its"),
        ("if received_mbps <= 9 then 0 else if loss_slow <= 0.1 then 0 else 0", "without its"),
    ],
)
def test_a_decider_that_names_no_context_is_refused(decider: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        taken_apart(WHOLE, rule(decider, -1, 9), [SLOW, FAST])


def test_branches_must_fit_their_contexts() -> None:
    with pytest.raises(ValueError, match="2, contexts told of 1"):
        Branches(DECIDER, (WHOLE, WHOLE), (0,), (SLOW,))


def test_answers_are_counted_by_context() -> None:
    found = taken_apart(WHOLE, DECIDER, [SLOW, FAST])
    rows = table(100)
    truth = np.arange(100) % 2
    counted = Counted(found, truth)
    labels = counted(rows)
    assert (labels == decide_by(found.decider)(rows)).all()
    of = np.array(found.of)[labels]
    wanted = [[int(((truth == i) & (of == j)).sum()) for j in range(2)] for i in range(2)]
    assert counted.confusion.tolist() == wanted
    counted(rows)
    assert counted.confusion.tolist() == (2 * np.array(wanted)).tolist()


def test_truth_is_the_links_own() -> None:
    truth = truth_of([SLOW, FAST], WORLD, SEEDS)
    batch = WORLD.batch(len(SEEDS))
    batch.seed(list(SEEDS))
    batch.begin()
    assert (truth == (batch.links()["bandwidth_bps"] >= CUT_BPS)).all()
    assert set(truth.tolist()) == {0, 1}


def branches(decider: Rule, *bodies: str) -> Branches:
    return Branches(decider, tuple(rule(body) for body in bodies), (0, 1), (SLOW, FAST))


def test_what_every_way_to_decide_brings() -> None:
    """Of branches that hold still and fall it counts only on which links each of them acts."""
    always = rule("0", 0, 1)
    found = decided(branches(always, "0", "-1"), actor_of, WORLD, SEEDS)
    truth = truth_of([SLOW, FAST], WORLD, SEEDS)
    assert found.confusion.tolist() == [[40 * int((truth == 0).sum()), 0],
                                        [40 * int((truth == 1).sum()), 0]]  # fmt: skip
    assert found.accuracy == pytest.approx((truth == 0).mean())
    assert found.largest == pytest.approx(max((truth == 0).mean(), (truth == 1).mean()))
    still, falling = found.alone
    assert (found.with_decider.reward == still.reward).all()
    mixed = np.where(truth == 0, still.reward, falling.reward)
    assert (found.with_oracle.reward == mixed).all()
    assert (still.reward != falling.reward).any()


def test_a_perfect_decider_is_the_oracle() -> None:
    """One that knows bandwidth by what arrives, on links that it cannot take for others."""
    narrow = {"loss": (0.0, 0.0), "start_share": (1.0, 1.0), "bandwidth_bps": (2e6, 9e6)}
    slow = World(CORRECTED, corrected_links(steps=10, **narrow))
    own = branches(rule("if received_mbps <= 10 then 0 else 1", 0, 1), "0", "-1")
    found = decided(own, actor_of, slow, SEEDS)
    assert found.accuracy == 1.0
    assert (found.with_decider.reward == found.with_oracle.reward).all()


def test_a_decider_that_names_no_branch_is_refused() -> None:
    with pytest.raises(IndexError):
        decided(branches(rule("7", 0, 9), "0", "-1"), actor_of, WORLD, SEEDS)
