"""The figure and the claims of what rules cost in the kernel, on made-up numbers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from experiments import paths
from experiments.check import load_manifest
from experiments.figures.congestion_parts import LIVE
from experiments.figures.render import render
from experiments.kinds.base import KINDS, Outcome
from experiments.paths import MANIFESTS
from experiments.plan import make_plan
from experiments.recorded import record
from experiments.store import Store
from experiments.tables import Results, collect

MANIFEST = MANIFESTS / "symbolicpcc" / "ack-cost.yaml"
CUBIC_NS = 200.0


@pytest.fixture(autouse=True)
def own_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "RECORDED", tmp_path / "recorded")


def results_of(root: Path, size: str) -> Results:
    """Return results in which a rule costs 1.5 times CUBIC, and a millionth more per seed."""
    plan, store = make_plan(load_manifest(MANIFEST), size), Store(root)
    for spec in plan.runs:
        ratio = 1.5 + 1e-6 * spec.config["seed"]
        metrics: dict[str, Any] = dict.fromkeys(KINDS.get(spec.kind).metrics, 1.0)
        metrics |= {"rule_ack_ns": ratio * CUBIC_NS, "cubic_ack_ns": CUBIC_NS, "ack_ratio": ratio}
        known = {"id": spec.id, "fingerprint": spec.fingerprint, "notes": []}
        store.put(spec.id, Outcome(metrics), known)
    return collect(plan, store)


def points_of(results: Results, folder: Path) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        found = render(results, folder)
    assert found.problem == ""
    assert found.csv is not None
    return pd.read_csv(found.csv)


@pytest.mark.extensive
def test_points_are_the_runs_and_live_ones_stand_out(tmp_path: Path) -> None:
    whole, live = (results_of(tmp_path / size, size) for size in ("standard", "quick"))
    points = points_of(whole, tmp_path / "whole").set_index("panel")
    ratio = points.loc["rule_ack_ns", "mean"] / CUBIC_NS
    assert ratio.tolist() == pytest.approx([1.5] * len(ratio), rel=1e-5)
    links = {(spec.config["mbps"], spec.config["rtt_ms"]) for spec in whole.plan.runs}
    assert points.loc["rule_ack_ns", "x"].nunique() == len(links)
    assert not (points["group"] == LIVE).any()
    record(whole)
    both = points_of(live, tmp_path / "both")
    assert set(both.loc[both["group"] == LIVE, "policy"]) == {
        spec.config["policy"] for spec in live.plan.runs
    }
    assert len(both) > len(points)


def test_every_metric_of_the_manifest_is_the_kind_s() -> None:
    manifest = load_manifest(MANIFEST)
    known = KINDS.get(manifest.kind).metrics
    assert set(manifest.metrics) <= set(known)
    assert {claim.metric for claim in manifest.claims} <= set(known)
