"""Finished runs of the tuning manifests whose numbers are plain arithmetic."""

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

KIND_OF = {
    path.stem: load_manifest(path).kind for path in sorted((MANIFESTS / "bolt").glob("*.yaml"))
}
RECORDED = [name for name, kind in KIND_OF.items() if kind == "tuning-gpu-measured"]
"""Experiments that read what was measured on a GPU elsewhere."""
SIMULATED = [
    name
    for name, kind in KIND_OF.items()
    if kind.startswith("tuning-gpu-") and name not in RECORDED
]
"""Experiments on simulated GPUs."""
MINE = [name for name in KIND_OF if name not in (*SIMULATED, *RECORDED)]
"""Experiments that measure this machine."""
ABSENT = {
    "numpy_ns": lambda spec: (
        spec.config["operator"]["kind"] == "conv2d" or not spec.config["vendors"]
    ),
    "torch_ns": lambda spec: not spec.config["vendors"],
    "onednn_ns": lambda spec: not spec.config["vendors"],
    "fastest_vendor_ns": lambda spec: not spec.config["vendors"],
    "speedup_over_fastest_vendor": lambda spec: not spec.config["vendors"],
    "metaschedule_ns": lambda spec: not spec.config["rival_trials"],
    "metaschedule_cut": lambda spec: not spec.config["rival_trials"],
    "epilogues_ms": lambda spec: not spec.config["plain"],
    "plain_ms": lambda spec: not spec.config["plain"],
    "replay_s": lambda spec: not spec.config["replay"],
    "metaschedule_s": lambda spec: not spec.config.get("rival_tasks", 1),
    "metaschedule_low_s": lambda spec: not spec.config.get("rival_tasks", 1),
    "metaschedule_high_s": lambda spec: not spec.config.get("rival_tasks", 1),
}
"""Metric -> whether a run has none."""


def results_of(
    name: str,
    root: Path,
    size: str = "standard",
    keep: Callable[[RunSpec], bool] = lambda spec: True,
    seeds: tuple[int, ...] = (0, 1),
) -> Results:
    """Return results of the experiment `bolt/name` for the runs that `keep` wants."""
    manifest = load_manifest(MANIFESTS / "bolt" / f"{name}.yaml")
    plan, store = make_plan(manifest, size, {"seeds": list(seeds)}), Store(root)
    for spec in plan.runs:
        if keep(spec):
            known = {"id": spec.id, "fingerprint": spec.fingerprint, "notes": []}
            store.put(spec.id, outcome_of(spec), known)
    return collect(plan, store)


def outcome_of(spec: RunSpec) -> Outcome:
    """Return positive metrics by the run's id; shares and decisions are 0 to 1."""
    kind = KINDS.get(spec.kind)
    luck = hashlib.sha256(spec.id.encode()).digest() * 2
    interval = (0.9, 1.1)  # of a ratio, around it
    metrics: dict[str, Any] = {}
    for place, name in enumerate(kind.metrics):
        metrics[name] = 0.5 + luck[place] / 256
        if name in ("fused", "padded", "metaschedule_cut"):
            metrics[name] = luck[place] % 2
        for end, times in zip(("_low", "_high"), interval, strict=True):
            if name.startswith("speedup") and name.endswith(end):
                middle = metrics[name.removesuffix(end)]
                metrics[name] = middle and times * middle
        if name.endswith("_ns"):
            metrics[name] *= 1e6
        if name in ABSENT and ABSENT[name](spec):
            metrics[name] = None
    tables = {}
    if spec.kind == "tuning-operator":
        best = metrics["ours_ns"]
        steps = [(4.0**step, best * (1 + 2.0**-step)) for step in range(4)]
        steps.append((300.0, 1.05 * steps[-1][1]))  # the winner, timed again
        tables["curve"] = {
            "engine": ["templates"] * len(steps),
            "seconds": [seconds for seconds, _ in steps],
            "best_ns": [ns for _, ns in steps],
        }
    return Outcome(metrics, tables)
