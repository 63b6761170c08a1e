"""Figures of ablations: variants are named apart, ratios are those of equal pools and seeds."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from experiments.check import load_manifest
from experiments.figures.render import render
from experiments.kinds.base import Outcome
from experiments.paths import ROOT
from experiments.plan import make_plan
from experiments.store import Store
from experiments.tables import Results, collect
from tests.figures.synthetic import ENVIRONMENT

NAMES = ("sort", "split", "scan", "sampling")


def plan_of(name: str):
    """Return the plan of an ablation at quick size."""
    return make_plan(
        load_manifest(ROOT / f"experiments/manifests/blendserve/ablation-{name}.yaml"), "quick"
    )


def module_of(name: str):
    """Return its figure."""
    return importlib.import_module(f"experiments.figures.blendserve_ablation_{name}")


def made_up(name: str, root: Path) -> Results:
    """Return results in which the variant number v of a pool gives (1 + v / 10) x its base."""
    plan, store = plan_of(name), Store(root)
    label = module_of(name).ABLATION.label
    variants = list(dict.fromkeys(label(spec.config) for spec in plan.runs))
    for spec in plan.runs:
        place = variants.index(label(spec.config))
        base = 1000.0 * spec.config["workload"]["density"] + spec.config["seed"]
        speed = base * (1 + place / 10)
        metrics = {"throughput_tokens_s": speed, "sharing_kept": 1.0 - place / 100}
        known = {"id": spec.id, "fingerprint": spec.fingerprint, "notes": []}
        store.put(spec.id, Outcome(metrics=metrics), {**ENVIRONMENT, **known})
    return collect(plan, store)


@pytest.mark.parametrize("name", NAMES)
def test_each_point_of_the_sweep_has_its_own_name(name: str) -> None:
    """As many names as variants, the reference among them."""
    plan, ablation = plan_of(name), module_of(name).ABLATION
    variants = {ablation.label(spec.config) for spec in plan.runs}
    pools = {spec.config["workload"]["density"] for spec in plan.runs}
    seeds = {spec.config["seed"] for spec in plan.runs}
    assert len(plan.runs) == len(variants) * len(pools) * len(seeds)
    assert ablation.reference in variants


@pytest.mark.parametrize("name", NAMES)
def test_ratios_are_paired_and_the_figure_draws(name: str, tmp_path: Path) -> None:
    """Each seed meets its own reference, so made-up ratios come out exactly."""
    results = made_up(name, tmp_path / "store")
    module = module_of(name)
    points = module.points(results)
    ratios = points.loc[points["panel"] == "throughput_ratio"]
    reference = ratios.loc[ratios["group"] == module.ABLATION.reference, "mean"]
    assert (reference == 1.0).all()
    for _, pool in ratios.groupby("policy"):
        expected = [1 + place / 10 for place in range(len(pool))]
        assert pool["mean"].tolist() == pytest.approx(expected)
    assert render(results, tmp_path / "out").problem == ""
