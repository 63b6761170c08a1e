"""The run kind `congestion-teacher`, its figure, and the command that trains several seeds."""

from __future__ import annotations

import importlib.util
import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from experiments.check import load_manifest
from experiments.figures import congestion_parts as parts
from experiments.figures.render import render
from experiments.identity import RunSpec
from experiments.kinds.base import KINDS, Outcome
from experiments.paths import MANIFESTS
from experiments.plan import make_plan
from experiments.store import Store
from experiments.tables import Results, collect
from policies.distill import train_teacher
from policies.distill.weights import read_network
from sim.net.problems import ScenarioError
from sim.streams import canonical_json
from tests.distill.small import VARIANTS

KIND = KINDS.get("congestion-teacher")
SMALL = {
    "total_steps": 2048,
    "parallel": 32,
    "batch_steps": 1024,
    "minibatch": 512,
    "evaluate_every": 1024,
    "validation_links": 4,
    "test_links": 8,
}


def run(**changes: Any) -> Outcome:
    config = KIND.Config.model_validate({**SMALL, **changes}).model_dump(mode="json")
    return KIND.run({**KIND.resolve(config), "policy": None, "seed": 0})


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_run_gives_every_metric_and_its_curve(variant: str) -> None:
    outcome = run(variant=variant, hidden=[8])
    metrics: dict[str, Any] = dict(outcome.metrics)
    assert set(metrics) == set(KIND.metrics)
    absent = {name for name, value in metrics.items() if value is None}
    assert absent == {
        name for name in metrics if name.startswith("published") and variant != "legacy"
    }
    assert all(math.isfinite(v) for v in metrics.values() if v is not None)
    assert metrics["share_median_low"] <= metrics["share_median"] <= metrics["share_median_high"]
    assert metrics["steps"] == 2048
    assert metrics["steps_per_s"] == pytest.approx(2048 / metrics["seconds"])
    curve = outcome.tables["learning"]
    assert list(curve["steps"]) == [0, 1024, 2048]
    assert curve["train_share"][0] is None
    assert curve["train_share"][1] is not None
    both = zip(curve["validation_median"], curve["validation_ratio"], strict=True)
    assert metrics["validation_share"] == max((a + b) / 2.0 for a, b in both)
    assert canonical_json(metrics)


def test_runs_repeat_but_for_their_time() -> None:
    one, two = dict(run().metrics), dict(run().metrics)
    for metrics in (one, two):
        del metrics["seconds"], metrics["steps_per_s"]
    assert one == two


@pytest.mark.parametrize(
    "changes",
    [
        {"variant": "fixed"},
        {"total_steps": 0},
        {"hidden": []},
        {"gamma": 1.0},
        {"clip": None, "x": 1},
    ],
)
def test_bad_configurations_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KIND.Config.model_validate({**SMALL, **changes})


def test_what_does_not_fit_together_is_one_message() -> None:
    with pytest.raises(ScenarioError, match="parallel must divide batch_steps"):
        run(parallel=7)


def results_of(root: Path, keep: Callable[[RunSpec], bool] = lambda spec: True) -> Results:
    """Return results of the experiment whose numbers are plain arithmetic."""
    manifest = load_manifest(MANIFESTS / "symbolicpcc" / "teacher.yaml")
    plan, store = make_plan(manifest, "standard"), Store(root)
    for spec in plan.runs:
        if keep(spec):
            known = {"id": spec.id, "fingerprint": spec.fingerprint, "notes": []}
            store.put(spec.id, outcome_of(spec), known)
    return collect(plan, store)


def outcome_of(spec: RunSpec) -> Outcome:
    legacy = spec.config["variant"] == "legacy"
    metrics: dict[str, Any] = dict.fromkeys(KIND.metrics, 0.5)
    if not legacy:
        metrics |= {name: None for name in metrics if name.startswith("published")}
    steps = [0, 100_000, 200_000]
    values = [0.1 * spec.config["seed"] + 1e-6 * step for step in steps]
    names = ("validation_median", "validation_ratio", "train_share")
    return Outcome(metrics, {"learning": {"steps": steps, **dict.fromkeys(names, values)}})


def drawn(results: Results, folder: Path) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        found = render(results, folder)
    assert found.problem == ""
    assert found.csv is not None
    return pd.read_csv(found.csv)


@pytest.mark.extensive
def test_the_figure_draws_means_and_bands(tmp_path: Path) -> None:
    points = drawn(results_of(tmp_path / "store"), tmp_path / "a")
    assert list(points) == list(parts.POINTS)
    curve = points[(points["panel"] == "legacy") & (points["group"] == "validation_ratio")]
    curve = curve[curve["policy"] == "teacher"]
    assert curve["x"].tolist() == [0, 100_000, 200_000]
    assert curve["mean"].tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert (curve["high"] - curve["low"]).tolist() == pytest.approx([0.2] * 3)
    lines = points[points["policy"] != "teacher"]
    assert set(lines["panel"]) == {"legacy"}
    assert lines["mean"].tolist() == [0.5, 0.5]


@pytest.mark.extensive
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_figure_bears_gaps(variant: str, tmp_path: Path) -> None:
    only = results_of(tmp_path / "store", lambda spec: spec.config["variant"] == variant)
    assert set(drawn(only, tmp_path / "a")["panel"]) == {variant}


def test_the_command_trains_chooses_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train_teacher, "TEST_LINKS", 8)
    out = tmp_path / "weights" / "mine.safetensors"
    words = ["legacy", "--seeds", "2", "--steps", "8192", "--links", "4"]
    words += ["--out", str(out), "--work", str(tmp_path / "work")]
    assert train_teacher.main(words) == 0
    written = out.read_bytes()
    told = json.loads(out.with_suffix(".json").read_text())
    assert told["command"].startswith("python -m policies.distill.train_teacher legacy --seeds 2")
    assert [one["seed"] for one in told["seeds"]] == [0, 1]
    names = ("validation_share_median", "validation_share_ratio_of_means")
    best = max(told["seeds"], key=lambda one: sum(one[name] for name in names))
    assert told["seed"] == best["seed"]
    assert read_network(out).sizes == (30, 32, 16, 1)
    assert train_teacher.main(words) == 0  # from the checkpoints
    assert out.read_bytes() == written
    assert "chosen on validation links" in capsys.readouterr().out


def test_shipped_teachers_can_be_read() -> None:
    from policies.congestion.networks import FOLDER
    from policies.distill.teacher_config import preset

    found = sorted(FOLDER.glob("teacher_*.safetensors"))
    assert [path.stem for path in found] == ["teacher_corrected", "teacher_legacy"]
    for path in found:
        network = read_network(path)
        assert network.world == preset(path.stem.removeprefix("teacher_")).world


def test_says_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KIND.lacks({}) == ()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert [text.split()[0] for text in KIND.lacks({})] == [
        "gymnasium",
        "stable_baselines3",
    ]
