"""The run kinds on rules and networks through their public contract."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from experiments.check import load_manifest
from experiments.kinds import congestion_complexity, congestion_decision_cost
from experiments.kinds.base import KINDS, Outcome
from experiments.kinds.congestion_distil_efforts import EFFORTS, settings_of
from experiments.kinds.congestion_worlds import (
    DISTRIBUTIONS,
    LinksConfig,
    queue_range,
    seeds_of_links,
    world_of,
)
from experiments.paths import MANIFESTS
from experiments.plan import code_fingerprint, make_plan, parse_overrides
from experiments.problems import InputError
from policies.distill import entrants
from policies.distill.branches import Branches
from policies.distill.contexts import Context
from policies.distill.entrants import ENTRANTS, RULES, load
from policies.distill.fronts import Candidate, write_front
from policies.rules.count import worst_path
from policies.rules.parse import parse_rule, read_rule
from sim.streams import canonical_json
from tests.congestion_experiments.judged import KIND_NAMES, MINE

INF = math.inf
GENTLE = RULES / "gentle.rule"


def settle(kind: str, **changes: Any) -> dict[str, Any]:
    config = KINDS.get(kind).Config.model_validate(changes).model_dump(mode="json")
    return KINDS.get(kind).resolve(config)


def run(kind: str, policy: str | None, seed: int = 0, **changes: Any) -> Outcome:
    """Validate, resolve and run a configuration."""
    return KINDS.get(kind).run({**settle(kind, **changes), "policy": policy, "seed": seed})


def checked(kind: str, outcome: Outcome) -> dict[str, Any]:
    """Return the metrics, which are those that the kind declares, finite or null."""
    metrics: dict[str, Any] = dict(outcome.metrics)
    assert set(metrics) == set(KINDS.get(kind).metrics)
    assert all(math.isfinite(value) for value in metrics.values() if value is not None)
    assert canonical_json(metrics)
    for columns in outcome.tables.values():
        assert len({len(values) for values in columns.values()}) == 1
    return metrics


# --- where links come from


def links(distribution: str, count: int = 60) -> dict[str, np.ndarray]:
    config = LinksConfig.model_validate({"distribution": distribution, "links": count})
    batch = world_of(config).batch(count)
    batch.seed(list(seeds_of_links(config, 0)))
    batch.begin()
    return batch.links()


def test_every_distribution_draws_what_it_is_called() -> None:
    found = {name: links(name) for name in DISTRIBUTIONS}
    spans = {
        "faster": ("bandwidth_bps", 1e8, 1e9),
        "slower": ("bandwidth_bps", 3e5, 1e6),
        "bandwidth": ("bandwidth_bps", 1e6, 1e8),
        "latency": ("delay_s", 5e-4, 5e-2),
        "loss": ("loss_probability", 0.0, 0.08),
        "queue": ("queue_packets", 2, 6605),
    }
    for name, (column, low, high) in spans.items():
        values = found[name][column]
        assert low * (1 - 1e-9) <= values.min() < values.max() <= high * (1 + 1e-9)
    for name in ("bandwidth", "latency", "loss", "queue"):
        constant = {"bandwidth_bps": 30e6, "delay_s": 0.015}
        constant |= {"loss_probability": 0.0, "queue_packets": 660}
        del constant[spans[name][0]]
        for column, value in constant.items():
            assert found[name][column] == pytest.approx(np.full(60, value)), (name, column)
    together = found["together"]
    assert together["delay_s"].max() < 0.05
    assert together["loss_probability"].max() < 0.08
    assert together["queue_packets"].max() > 2000


@pytest.mark.parametrize("kb", [1.0, 10.0, 100.0, 1000.0, 10_000.0])
def test_a_queue_holds_the_packets_that_fit(kb: float) -> None:
    low, high = queue_range(kb, kb)
    assert low <= high
    assert 1 + math.floor(math.exp(high)) == max(2, math.floor(1000 * kb / 1514))


def test_policies_meet_the_same_links_and_seeds_are_others() -> None:
    one, two = (run("congestion-reward", p, links=6, steps=20) for p in ("teacher", "rule_gentle"))
    for column in ("bandwidth_bps", "delay_s", "queue_packets", "loss_probability"):
        assert one.tables["links"][column] == two.tables["links"][column]
    other = run("congestion-reward", "teacher", seed=1, links=6, steps=20)
    assert other.tables["links"]["bandwidth_bps"] != one.tables["links"]["bandwidth_bps"]


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
    with pytest.raises(InputError, match="rule_file: .*absent"):
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
    head = "triptych-rule 1\nname d\naction [0, 1]\ninput received_mbps [0, 10000]\n"
    decider = parse_rule(f"{head}if received_mbps <= 9 then 0 else 1")
    contexts = tuple(Context({"bandwidth_bps": ends}) for ends in ((-INF, 1e7), (1e7, INF)))
    rules = read_rule(GENTLE), parse_rule(f"{head.replace('0, 1]', '-1, 1]', 1)}-1")
    made = Branches(decider, rules, (0, 1), contexts)
    monkeypatch.setattr(entrants.SymbolicBranched, "branches", classmethod(lambda cls: made))


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
    for form in ("c", "c_native", "numba", "numpy", "teacher_c_native"):
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


@pytest.mark.usefixtures("halves", "brief")
def test_several_policies_have_no_one_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ENTRANTS.get("symbolic_branched").branches()
    monkeypatch.setattr(entrants.Specialists, "load", classmethod(lambda cls: made))
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


# --- configurations, manifests


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("congestion-reward", {"distribution": "wide"}, "Input should be"),
        ("congestion-reward", {"links": 1}, "greater than or equal to 2"),
        ("congestion-reward", {"steps": 0}, "greater than or equal to 1"),
        ("congestion-reward", {"rule_file": 3}, "valid string"),
        ("congestion-fidelity", {"states": "both"}, "Input should be"),
        ("congestion-fidelity", {"sample": -1}, "greater than or equal to 0"),
        ("congestion-decider", {"rule_file": "x"}, "Extra inputs"),
        ("congestion-complexity", {"most_operations": -1}, "greater than or equal to 0"),
        ("congestion-decision-cost", {"samples": 2}, "greater than or equal to 3"),
        ("congestion-decision-cost", {"states": 0}, "greater than or equal to 1"),
        ("congestion-distil", {"contexts": 0}, "greater than or equal to 1"),
        ("congestion-distil", {"effort": "huge"}, "Input should be"),
        ("congestion-distil", {"specialists": True}, "need contexts_from: specialists"),
        ("congestion-distil", {"contexts_from": "specialists"}, "have 2 or more, found 1"),
        ("congestion-distil", {"rounds": 1.5}, "valid integer"),
    ],
)
def test_bad_configurations_are_refused(kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        KINDS.get(kind).Config.model_validate(changes)


@pytest.mark.parametrize("name", MINE)
def test_manifests_plan_at_every_size(name: str) -> None:
    manifest = load_manifest(MANIFESTS / "symbolicpcc" / f"{name}.yaml")
    sizes = [make_plan(manifest, size) for size in ("quick", "standard", "paper")]
    assert all(plan.runs for plan in sizes)
    assert len(sizes[0].runs) <= len(sizes[1].runs) <= len(sizes[2].runs)


def test_quick_distillations_are_shared_between_experiments() -> None:
    """The whole distillation is one run, whatever it is compared with."""
    ids = {}
    for name in ("contexts", "ablation-dagger", "ablation-refinement", "ablation-history"):
        manifest = load_manifest(MANIFESTS / "symbolicpcc" / f"{name}.yaml")
        ids[name] = {spec.id for spec in make_plan(manifest, "quick").runs}
    assert len(set.intersection(*ids.values())) == 1


def test_each_kind_has_a_manifest() -> None:
    kinds = {load_manifest(MANIFESTS / "symbolicpcc" / f"{name}.yaml").kind for name in MINE}
    assert kinds == set(KIND_NAMES)


def test_what_is_not_shipped_yet_keeps_a_run_from_starting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(entrants.Linear, "files", (tmp_path / "linear.rule",))
    for kind in ("congestion-reward", "congestion-fidelity", "congestion-decision-cost"):
        told = KINDS.get(kind).lacks({"policy": "rule_linear"})
        assert told[-1].startswith("linear.rule (python -m policies.distill.distil_command")
        assert not [text for text in KINDS.get(kind).lacks({"policy": "rule_gentle"}) if ".rule" in text]
    assert load("rule_gentle")
