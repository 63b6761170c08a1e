"""Links of the experiments on rules and networks, their configurations, and their manifests."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from experiments.check import load_manifest
from experiments.kinds.base import KINDS
from experiments.kinds.congestion_worlds import (
    DISTRIBUTIONS,
    LinksConfig,
    queue_range,
    seeds_of_links,
    world_of,
)
from experiments.paths import MANIFESTS
from experiments.plan import make_plan
from policies.distill import entrants
from tests.congestion_experiments.judged import KIND_NAMES, MINE
from tests.congestion_experiments.kind_runs import run

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


def test_the_rule_is_held_against_its_teacher_on_every_distribution() -> None:
    claims = load_manifest(MANIFESTS / "symbolicpcc" / "reward.yaml").claims
    ratios = [c.statistic for c in claims if c.statistic.kind == "ratio"]
    assert {(s.policy, s.over) for s in ratios} == {("symbolic_branched", "teacher")}
    assert sorted(str(s.where["distribution"]) for s in ratios) == sorted(DISTRIBUTIONS)


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
        told = KINDS.get(kind).lacks({"policy": "rule_gentle"})
        assert not [text for text in told if ".rule" in text]
