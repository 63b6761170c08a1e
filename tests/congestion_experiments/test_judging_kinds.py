"""Run kinds that judge policies of the corrected world, through their public contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.check import load_manifest
from experiments.kinds import congestion_complexity
from experiments.kinds.base import KINDS
from experiments.paths import MANIFESTS
from experiments.plan import code_fingerprint, make_plan, parse_overrides
from experiments.problems import InputError
from policies.distill import entrants
from policies.distill.entrants import RULES
from policies.distill.fronts import Candidate, write_front
from policies.rules.count import worst_path
from policies.rules.parse import parse_rule
from tests.congestion_experiments.kind_runs import checked, run, settle
from tests.congestion_experiments.two_branches import two_branches

GENTLE = RULES / "gentle.rule"

# --- reward


@pytest.mark.parametrize("policy", ["teacher", "rule_gentle", "teacher_pruned_90"])
def test_reward_gives_every_metric(policy: str) -> None:
    kind = "congestion-reward"
    outcome = run(kind, policy, links=8, steps=60)
    metrics = checked(kind, outcome)
    for name in ("share_median", "share_ratio_of_means"):
        assert metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"]
    shares = outcome.tables["links"]["share"]
    assert metrics["share_median"] == pytest.approx(np.median(shares))
    assert outcome.metrics == run(kind, policy, links=8, steps=60).metrics


def test_the_teacher_is_better_than_what_is_left_of_it() -> None:
    whole, pruned = (
        run("congestion-reward", policy, links=30).metrics["share_ratio_of_means"]
        for policy in ("teacher", "teacher_pruned_90")
    )
    assert float(whole or 0) > 0.9 > float(pruned or 0)


def test_a_rule_that_comes_along_is_judged_as_itself(tmp_path: Path) -> None:
    kind, mine = "congestion-reward", tmp_path / "mine.rule"
    mine.write_bytes(GENTLE.read_bytes())
    given = run(kind, "rule_file", links=4, steps=20, rule_file=str(mine))
    assert given.metrics == run(kind, "rule_gentle", links=4, steps=20).metrics


def test_a_rule_file_is_its_text_in_a_runs_identity(tmp_path: Path) -> None:
    one, two = tmp_path / "a.rule", tmp_path / "b.rule"
    one.write_bytes(GENTLE.read_bytes())
    two.write_text(GENTLE.read_text() + "\n# said\n")
    kind = "congestion-reward"
    assert settle(kind, rule_file=str(one)) == settle(kind, rule_file=str(two))
    two.write_text(GENTLE.read_text().replace("0.12", "0.13"))
    assert settle(kind, rule_file=str(one)) != settle(kind, rule_file=str(two))
    assert settle(kind)["rule_text"] is None


@pytest.mark.parametrize("content", [b"", b"nothing", b"\xff\xfe", b"triptych-rule 1\nname f"])
def test_a_bad_rule_file_is_one_message(content: bytes, tmp_path: Path) -> None:
    bad = tmp_path / "bad.rule"
    bad.write_bytes(content)
    manifest = load_manifest(MANIFESTS / "symbolicpcc" / "reward.yaml")
    overrides = parse_overrides([f"rule_file={bad}", "policies=rule_file"])
    with pytest.raises(InputError, match=r"bad\.rule"):
        make_plan(manifest, "quick", overrides)
    with pytest.raises(InputError, match=r"rule_file: .*absent"):
        make_plan(manifest, "quick", parse_overrides([f"rule_file={tmp_path}/absent"]))


# --- fidelity


def test_fidelity_of_the_teacher_is_perfect() -> None:
    kind = "congestion-fidelity"
    for states in ("teacher", "own"):
        metrics = checked(kind, run(kind, "teacher", links=4, steps=30, states=states))
        assert metrics["r2"] == 1.0
        assert metrics["mean_absolute_error"] == 0.0
        assert metrics["decisions"] == 120


def test_fidelity_of_others_is_not_and_hangs_on_the_states() -> None:
    kind = "congestion-fidelity"
    theirs, own = (
        run(kind, "rule_gentle", links=6, steps=60, states=states, sample=50)
        for states in ("teacher", "own")
    )
    for outcome in (theirs, own):
        assert checked(kind, outcome)["mean_absolute_error"] > 0.05
        assert len(outcome.tables["actions"]["teacher"]) == 50
    assert theirs.metrics != own.metrics


def test_the_teacher_is_part_of_the_fingerprint() -> None:
    for kind in ("congestion-fidelity", "congestion-decision-cost"):
        assert KINDS.get(kind).other_policies({}) == ["teacher"]
    assert code_fingerprint("congestion-reward", "rule_gentle")


# --- decider


@pytest.fixture
def halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the branched rule be two rules, for links below and above 10 Mbit/s."""
    made = classmethod(lambda cls: two_branches())
    monkeypatch.setattr(entrants.SymbolicBranched, "branches", made)


@pytest.mark.usefixtures("halves")
def test_decider_tells_accuracy_and_what_errors_cost() -> None:
    kind = "congestion-decider"
    outcome = run(kind, "symbolic_branched", links=10, steps=60)
    metrics = checked(kind, outcome)
    rows = outcome.tables["confusion"]
    assert sum(rows["decisions"]) == 10 * 60
    triples = zip(rows["context"], rows["branch"], rows["decisions"], strict=True)
    right = sum(n for context, branch, n in triples if context == branch)
    assert metrics["accuracy"] == pytest.approx(right / 600)
    assert metrics["contexts"] == 2
    assert metrics["cost"] == pytest.approx(metrics["oracle_share"] - metrics["decider_share"])
    assert metrics["worst_alone_share"] <= metrics["best_alone_share"]


def test_a_policy_without_a_decider_is_one_message() -> None:
    with pytest.raises(ValueError, match="has no decider; those that have one"):
        run("congestion-decider", "rule_gentle", links=2, steps=2)


# --- complexity


def front(path: Path) -> Path:
    bodies = ("-0.1", "1.1 - latency_ratio_fast", "min(0.5, 2 * (1.1 - latency_ratio_fast))")
    head = "triptych-rule 1\nname f\naction [-1, 1]\ninput latency_ratio_fast [1, 100]\n"
    made = [parse_rule(f"{head}{body}").body for body in bodies]
    rows = [Candidate(body, 0.5 - 0.1 * i, worst_path(body)) for i, body in enumerate(made)]
    write_front(path, rows)
    return path


def test_a_budget_buys_the_member_of_least_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = "congestion-complexity"
    monkeypatch.setattr(congestion_complexity, "FRONT", front(tmp_path / "front.json"))
    bought = {}
    for budget in (0, 1, 2, 3, 60):
        outcome = run(kind, None, links=4, steps=30, most_operations=budget)
        metrics = checked(kind, outcome)
        assert metrics["operations"] <= budget
        bought[budget] = metrics["operations"]
    assert bought == {0: 0, 1: 1, 2: 1, 3: 3, 60: 3}
    assert settle(kind)["front"] is not None


def test_a_front_without_a_member_so_cheap_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "front.json"
    write_front(path, [])
    monkeypatch.setattr(congestion_complexity, "FRONT", path)
    with pytest.raises(ValueError, match="no member takes at most 60 operations; it is empty"):
        run("congestion-complexity", None, links=2, steps=2)


def test_a_front_that_is_absent_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(congestion_complexity, "FRONT", tmp_path / "symbolic.front.json")
    kind = KINDS.get("congestion-complexity")
    assert kind.lacks({}) == (
        "symbolic.front.json (python -m policies.distill.distil_command symbolic)",
    )
    assert settle("congestion-complexity")["front"] is None
