"""Finished runs of the experiments on rules and networks whose numbers are plain arithmetic."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.check import load_manifest
from experiments.identity import RunSpec
from experiments.kinds.base import KINDS, Outcome
from experiments.paths import MANIFESTS
from experiments.plan import make_plan
from experiments.store import Store
from experiments.tables import Results, collect

KIND_NAMES = (
    *("congestion-reward", "congestion-fidelity", "congestion-decider"),
    *("congestion-complexity", "congestion-distil", "congestion-decision-cost"),
)
FILES = sorted((MANIFESTS / "symbolicpcc").glob("*.yaml"))
MINE = [path.stem for path in FILES if load_manifest(path).kind in KIND_NAMES]
"""Experiments of these kinds."""
FORMS = ("c", "c_native", "compiled", "numpy")


def results_of(
    name: str,
    root: Path,
    keep: Callable[[RunSpec], bool] = lambda spec: True,
    overrides: dict[str, list[Any]] | None = None,
    size: str = "quick",
) -> Results:
    """Return results of the experiment `symbolicpcc/name` for the runs that `keep` wants."""
    manifest = load_manifest(MANIFESTS / "symbolicpcc" / f"{name}.yaml")
    plan, store = make_plan(manifest, size, overrides), Store(root)
    for spec in plan.runs:
        if keep(spec):
            known = {"id": spec.id, "fingerprint": spec.fingerprint, "notes": []}
            store.put(spec.id, outcome_of(spec), known)
    return collect(plan, store)


def outcome_of(spec: RunSpec) -> Outcome:
    """Return metrics by the run's id, intervals around their values, and the kind's series."""
    kind, digest = KINDS.get(spec.kind), hashlib.sha256(spec.id.encode()).digest()
    metrics: dict[str, Any] = {
        name: 0.1 + digest[place % len(digest)] / 300 for place, name in enumerate(kind.metrics)
    }
    for name in metrics:
        if f"{name}_low" in metrics:
            metrics[f"{name}_low"] = metrics[name] - 0.05
            metrics[f"{name}_high"] = metrics[name] + 0.05
    made = {
        "congestion-reward": _reward,
        "congestion-fidelity": _fidelity,
        "congestion-decider": _decider,
        "congestion-complexity": _complexity,
        "congestion-distil": _distil,
        "congestion-decision-cost": _cost,
    }
    return Outcome(metrics, made[spec.kind](spec, metrics))


def _reward(spec: RunSpec, metrics: dict[str, Any]) -> dict[str, Any]:
    del metrics
    share = 0.1 * len(str(spec.config["policy"]))
    return {"links": {"bandwidth_bps": [1e6, 2e6], "share": [share, 1.0]}}


def _fidelity(spec: RunSpec, metrics: dict[str, Any]) -> dict[str, Any]:
    if spec.config["policy"] == "rule_linear":
        metrics["r2"] = -40.0
    if spec.config["policy"] == "rule_tree":
        metrics["r2"] = None
    return {"actions": {"teacher": [-1.0, 0.0, 0.5], "action": [-0.9, 0.1, 0.5]}}


def _decider(spec: RunSpec, metrics: dict[str, Any]) -> dict[str, Any]:
    del spec
    metrics["contexts"] = 2
    columns = {"context": [0, 0, 1, 1], "branch": [0, 1, 0, 1], "decisions": [30, 10, 0, 0]}
    return {"confusion": columns}


def _complexity(spec: RunSpec, metrics: dict[str, Any]) -> dict[str, Any]:
    metrics["operations"] = spec.config["most_operations"] - 1
    return {}


def _distil(spec: RunSpec, metrics: dict[str, Any]) -> dict[str, Any]:
    count = 1 + spec.config["rounds"]
    metrics["operations"], metrics["operations_in_all"] = 31, 77
    metrics["contexts_found"] = spec.config["contexts"]
    if spec.config["contexts"] == 1:
        metrics["accuracy"] = None
    shares = [0.9 + 0.02 * place for place in range(count)]
    places = [float(place) for place in range(count)]
    return {"rounds": {"round": places, "rows": places, "share": shares, "median": shares}}


def _cost(spec: RunSpec, metrics: dict[str, Any]) -> dict[str, Any]:
    metrics["operations"] = 20 + len(str(spec.config["policy"]))
    if not str(spec.config["policy"]).startswith("teacher"):
        for end in ("", "_low", "_high"):
            metrics[f"c_float_ns{end}"] = None
        metrics["multiply_adds"] = None
    return {"samples": {"form": list(FORMS), "ns": [10.0, 9.0, 70.0, 5e4]}}
