"""Figures after the paper, drawn from small real runs: what is drawn is what the table says."""

from __future__ import annotations

import importlib

import pytest

from experiments.check import load_manifest
from experiments.figures.render import render
from experiments.figures.serving_orders import BASELINE
from experiments.kinds.base import KINDS
from experiments.paths import MANIFESTS
from experiments.plan import make_plan
from experiments.store import Store
from experiments.tables import Results, collect

NAMES = ("fig03", "fig07a", "fig09", "fig10", "fig12", "ablation-overlap", "ablation-memory")
REQUESTS = 2000


def small(name: str, root) -> Results:
    """Run an experiment on pools of 2,000 requests, in this process."""
    manifest = load_manifest(MANIFESTS / "blendserve" / f"{name}.yaml")
    plan, store = make_plan(manifest, "quick", {"workload.requests": [REQUESTS]}), Store(root)
    for spec in plan.runs:
        outcome = KINDS.get(spec.kind).run(dict(spec.config))
        record = {"id": spec.id, "fingerprint": spec.fingerprint, "notes": list(outcome.notes)}
        store.put(spec.id, outcome, record)
    return collect(plan, store)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Return name -> results; the experiments share many of their runs."""
    root = tmp_path_factory.mktemp("results")
    return {name: small(name, root) for name in NAMES}


@pytest.mark.extensive
@pytest.mark.parametrize("name", NAMES)
def test_it_is_drawn_whole(ran, name, tmp_path):
    """No figure fails, and every policy of the plan has points."""
    results = ran[name]
    drawn = render(results, tmp_path)
    assert not drawn.problem
    assert not drawn.missing
    assert drawn.csv is not None
    points = module(name).points(results)
    assert points["mean"].notna().any()
    if name != "fig12":  # there the series are mixes
        compared = {spec.config["policy"] for spec in results.plan.runs} - {BASELINE}
        assert compared <= set(points["policy"])


def module(name: str):
    """Return the module that draws the experiment."""
    return importlib.import_module(f"experiments.figures.blendserve_{name.replace('-', '_')}")


@pytest.mark.extensive
def test_the_overlap_figure_interpolates_between_its_ends(ran):
    """At h = 0 and 1 it shows the ratios of the table; the baseline is 1 everywhere."""
    results = ran["ablation-overlap"]
    points, table = module("ablation-overlap").points(results), results.table
    one = table.loc[(table["workload.density"] == 1.4) & (table["workload.sharing"] == 0.35)]
    own, base = (one.loc[one["policy"] == p].sort_values("seed") for p in ("blendserve", BASELINE))
    for h, column in ((0.0, "makespan_if_sum_s"), (1.0, "makespan_if_max_s")):
        expected = (base[column].to_numpy() / own[column].to_numpy()).mean()
        here = points.loc[(points["x"] == h) & (points["policy"] == "blendserve")]
        assert here["mean"].iloc[0] == pytest.approx(expected)
    assert points.loc[points["policy"] == BASELINE, "mean"].to_numpy() == pytest.approx(1.0)


@pytest.mark.extensive
def test_balance_and_use_are_of_one_run(ran):
    """T_comp / T_mem of Fig. 3 is the ratio of the two shares of Fig. 10, where it is drawn."""
    balance, use = (module(name).points(ran[name]) for name in ("fig03", "fig10"))
    assert balance["mean"].dropna().between(0.05, 100).all()
    assert use["mean"].dropna().between(0, 1.0001).all()
    assert set(use["panel"]) == {"compute busy", "memory busy"}
