"""Policies outside the repository, put beside ours by `triptych compare --plugin`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.check import load_manifest
from experiments.fingerprint import closure
from experiments.own import beside_ours
from experiments.paths import MANIFESTS, ROOT
from experiments.problems import InputError
from policies.congestion.base import CONTROLLERS
from policies.registry import load_plugin
from tests.docs.blocks import blocks_of
from tests.experiments.harness import write_manifest
from tests.needs import need

EXAMPLES = ROOT / "docs" / "examples"
LINK = {
    "panel": "congestion",
    "kind": "congestion-link",
    "base": {"capacity": {"kind": "constant", "mbps": 10.0}, "duration_s": 6.0, "warmup_s": 2.0},
    "axes": [{"grid": {"rtt_ms": [20.0, 40.0]}}],
    "policies": ["cubic", "vegas"],
    "seeds": 2,
    "metrics": ["utilisation"],
}
POOL = {
    "panel": "serving",
    "kind": "serving-order",
    "base": {
        "model": "llama-3-8b",
        "gpu": "a100-80",
        "workload": {"kind": "trace", "name": "mooncake-conversation", "requests": 60},
    },
    "policies": ["prefix_dfs", "arrival"],
    "seeds": 3,
    "metrics": ["makespan_s"],
}
OPERATOR = {
    "panel": "tuning",
    "kind": "tuning-operator",
    "promise": "L2",
    "origin": "measured",
    "base": {
        "operator": {"kind": "gemm", "m": 64, "n": 64, "k": 64, "epilogue": "bias+relu"},
        "vendors": ["numpy"],
        "threads": 1,
        "trials": 2,
        "budget_s": 60.0,
        "samples": 3,
    },
    "policies": ["hardware_native"],
    "seeds": 2,
    "metrics": ["ours_ns"],
}
PANELS = {
    "serving": (POOL, "shortest_prompt.py", "prefix_dfs", "makespan_s"),
    "congestion": (LINK, "half.py", "cubic", "utilisation"),
    "a rule": (LINK, "rule_mine.py", "vegas", "utilisation"),
    "tuning": (OPERATOR, "coarse_to_fine.py", "hardware_native", "ours_ns"),
}


def compare(home: Path, manifest: Path, *options: str) -> subprocess.CompletedProcess[str]:
    places = {f"TRIPTYCH_{name}": str(home / name) for name in ("RESULTS", "BUILD")}
    return subprocess.run(
        [sys.executable, "-m", "experiments.cli", "compare", str(manifest), *options],
        cwd=ROOT,
        env=os.environ | places,
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )


@pytest.mark.extensive
@pytest.mark.parametrize("panel", PANELS)
def test_a_policy_outside_the_repository_meets_ours(panel: str, tmp_path: Path) -> None:
    fields, example, baseline, metric = PANELS[panel]
    if panel == "tuning":
        need("torch")
    outside = tmp_path / "elsewhere" / example
    outside.parent.mkdir()
    for name in (example, "mine.rule"):
        outside.with_name(name).write_text((EXAMPLES / name).read_text())
    manifest = write_manifest(tmp_path, **fields)
    options = ("--plugin", str(outside), "--baseline", baseline, "--metric", metric, "--json")
    before = compare(tmp_path, manifest, *options)
    assert before.returncode == 0, before.stderr
    assert f"warning: --plugin runs the code of {outside}" in before.stderr
    assert "runs are missing; --run computes them" in before.stderr
    done = compare(tmp_path, manifest, *options, "--run")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    points = 2 if fields is LINK else 1
    assert (row["a"], row["b"]) == (Path(example).stem, baseline)
    assert row["pairs"] == points * fields["seeds"]
    assert row["ci_low"] <= row["diff"] <= row["ci_high"]
    again = compare(tmp_path, manifest, *options, "--run")
    assert "runs to do" not in again.stderr
    assert json.loads(again.stdout) == json.loads(done.stdout)


@pytest.fixture
def half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "half.py"
    path.write_text((EXAMPLES / "half.py").read_text())
    for name in ("_loaded", "_plugins"):
        monkeypatch.setattr(CONTROLLERS, name, dict(getattr(CONTROLLERS, name)))
    load_plugin(path, [CONTROLLERS])
    return path


def policies(given: dict[str, Any], plugin: Path, baseline: str | None = None) -> list[str]:
    manifest = load_manifest(MANIFESTS / "symbolicpcc/fairness.yaml")
    return beside_ours(manifest, "quick", given, [plugin], baseline)["policies"]


def test_a_plugin_joins_all_of_the_manifests_policies_or_the_baseline_alone(half: Path) -> None:
    ours = load_manifest(MANIFESTS / "symbolicpcc/fairness.yaml").policies_of("quick")
    assert policies({}, half) == [*ours, "half"]
    assert policies({}, half, "cubic") == ["cubic", "half"]
    assert policies({"policies": ["reno", "half"]}, half) == ["reno", "half"]


def test_without_a_plugin_nothing_changes() -> None:
    manifest = load_manifest(MANIFESTS / "symbolicpcc/fairness.yaml")
    assert beside_ours(manifest, "quick", {"rtt_ms": [1.0]}, [], "cubic") == {"rtt_ms": [1.0]}


def test_a_plugin_of_another_panel_is_refused(half: Path) -> None:
    for name, reason in (
        ("blendserve/orders-azure", "registers no request order"),
        ("blendserve/table1", "compares no policies"),
    ):
        manifest = load_manifest(MANIFESTS / f"{name}.yaml")
        with pytest.raises(InputError, match=reason):
            beside_ours(manifest, "quick", {}, [half], None)


def test_a_rule_beside_a_plugin_is_part_of_its_code() -> None:
    assert EXAMPLES / "mine.rule" in closure([EXAMPLES / "rule_mine.py"])


def test_examples_are_what_the_pages_show() -> None:
    shown = [block.text for block in blocks_of("docs/add-a-policy.md")]
    for name in ("shortest_prompt.py", "half.py", "mine.rule", "rule_mine.py", "coarse_to_fine.py"):
        assert (EXAMPLES / name).read_text() in shown, name
