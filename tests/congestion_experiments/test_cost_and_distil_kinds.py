"""Run kinds `congestion-decision-cost` and `congestion-distil`: times, and whole distillations."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from experiments.kinds import congestion_decision_cost
from experiments.kinds.base import KINDS
from experiments.kinds.congestion_distil_efforts import EFFORTS, settings_of
from policies.distill import entrants
from policies.rules.parse import parse_rule
from tests.congestion_experiments.kind_runs import checked, run, settle
from tests.congestion_experiments.two_branches import two_branches

# --- decision cost

SHORT = {"samples": 3, "states": 40, "links": 2}


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(congestion_decision_cost, "SAMPLE_S", 1e-5)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("policy", ["rule_gentle", "teacher", "teacher_pruned_80"])
def test_decision_cost_times_every_form(policy: str) -> None:
    kind = "congestion-decision-cost"
    outcome = run(kind, policy, **SHORT)
    metrics = checked(kind, outcome)
    network = policy.startswith("teacher")
    absent = {name for name, value in metrics.items() if value is None}
    single = {"c_float_ns", "c_float_ns_low", "c_float_ns_high"}
    assert absent == (set() if network else {*single, "multiply_adds"})
    for form in ("c", "c_native", "compiled", "numpy", "teacher_c_native"):
        ends = [metrics[f"{form}_ns{end}"] for end in ("_low", "", "_high")]
        assert 0 < ends[0] <= ends[1] <= ends[2]
        assert outcome.tables["samples"]["form"].count(form) >= 3
    ratio = metrics["teacher_c_native_ns"] / metrics["c_native_ns"]
    assert metrics["speedup"] == pytest.approx(ratio)
    assert metrics["numpy_ns"] > metrics["c_native_ns"]
    counts = {"rule_gentle": (8, 9), "teacher": (3024, 3024), "teacher_pruned_80": (644, 644)}
    assert (metrics["operations"], metrics["operations_in_all"]) == counts[policy]


@pytest.mark.usefixtures("brief")
def test_forms_that_decide_differently_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(congestion_decision_cost, "APART", -1.0)
    with pytest.raises(RuntimeError, match="rule_gentle: mean actions lie 0 apart"):
        run("congestion-decision-cost", "rule_gentle", **SHORT)


@pytest.mark.usefixtures("brief")
def test_several_policies_have_no_one_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    made = classmethod(lambda cls: two_branches())
    monkeypatch.setattr(entrants.Specialists, "load", made)
    with pytest.raises(ValueError, match="of one rule or one network"):
        run("congestion-decision-cost", "specialists", **SHORT)


# --- distillation

TINY: dict[str, Any] = {"effort": "tiny", "method": "linear", "refine": False, "test_links": 10}


def test_a_distillation_gives_every_metric_and_repeats() -> None:
    kind = "congestion-distil"
    outcome = run(kind, None, **TINY)
    metrics = checked(kind, outcome)
    assert {name for name, value in metrics.items() if value is None} == {"accuracy"}
    assert metrics["contexts_found"] == 1
    assert 0 < metrics["operations"] <= metrics["operations_in_all"]
    rounds = outcome.tables["rounds"]
    assert rounds["round"] == [0.0, 1.0, 2.0]
    assert metrics["unrefined_share"] == rounds["share"][-1]
    assert rounds["rows"] == sorted(rounds["rows"])
    assert parse_rule(outcome.notes[0]).name == "rule"
    assert run(kind, None, **TINY).metrics == outcome.metrics


def test_without_rounds_there_is_one() -> None:
    outcome = run("congestion-distil", None, **TINY, rounds=0)
    assert len(outcome.tables["rounds"]["round"]) == 1


def test_without_history_rules_see_the_last_interval_only() -> None:
    outcome = run("congestion-distil", None, **TINY, history=False, rounds=0)
    inputs = [i.name for i in parse_rule(outcome.notes[0]).inputs]
    assert inputs
    assert not any(name.endswith(("_fast", "_slow", "_change")) for name in inputs)


def test_in_the_specialists_contexts_labels_are_theirs_or_the_teachers() -> None:
    shipped = {"contexts": 4, "contexts_from": "specialists", "rounds": 0}
    runs = [
        run("congestion-distil", None, **TINY, **shipped, specialists=own) for own in (False, True)
    ]
    for outcome in runs:
        assert checked("congestion-distil", outcome)["contexts_found"] == 4
    teachers, own = (outcome.metrics["error"] for outcome in runs)
    assert teachers != own


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("contexts", [1, 2, 8])
@pytest.mark.parametrize("history", [False, True])
def test_settings_are_sound(effort: str, contexts: int, history: bool) -> None:
    config = settle("congestion-distil", effort=effort, contexts=contexts, history=history)
    settings = settings_of(config, 3)
    settings.check()
    assert (settings.seed, settings.contexts, settings.rounds) == (3, contexts, 2)
    assert settings.decider_leaves >= contexts


def test_full_effort_is_the_distillations_own() -> None:
    from policies.distill.distil_config import symbolic

    full = settings_of(settle("congestion-distil"), 0)
    assert full == symbolic(name="rule")
    unrefined = settings_of(settle("congestion-distil", refine=False), 0)
    assert (unrefined.refine, unrefined.last) == (None, None)


def test_says_which_packages_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = KINDS.get("congestion-distil")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    wanted = {
        "pyoperon": {},
        "pysr": {"method": "pysr"},
        "scikit-learn": {"contexts": 2},
        "stable_baselines3": {"networks": "trained"},
    }
    for name, changes in wanted.items():
        told = [text.split()[0] for text in kind.lacks(settle("congestion-distil", **changes))]
        assert name in told
        assert "cmaes" in told
    assert kind.lacks(settle("congestion-distil", **TINY)) == ()
