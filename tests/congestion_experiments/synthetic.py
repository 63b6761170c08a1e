"""Finished runs of the congestion manifests whose numbers are plain arithmetic."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from experiments.check import load_manifest
from experiments.identity import RunSpec
from experiments.kinds.base import KINDS, Outcome
from experiments.paths import MANIFESTS
from experiments.plan import make_plan
from experiments.store import Store
from experiments.tables import Results, collect

FILES = sorted((MANIFESTS / "symbolicpcc").glob("*.yaml"))
MINE = [path.stem for path in FILES if load_manifest(path).kind == "congestion-link"]
"""Experiments of the simulated kind."""
EMULATED = [path.stem for path in FILES if path.stem.endswith(("-emu", "-vs-emu"))]
"""Experiments with real packets."""


def results_of(
    name: str,
    root: Path,
    keep: Callable[[RunSpec], bool] = lambda spec: True,
    overrides: dict[str, list[Any]] | None = None,
    size: str = "quick",
) -> Results:
    """Return results of the experiment `symbolicpcc/name` for the runs that `keep` wants."""
    manifest = load_manifest(MANIFESTS / "symbolicpcc" / f"{name}.yaml")
    wanted = {"seeds": [0, 1]} if overrides is None else overrides
    plan, store = make_plan(manifest, size, wanted), Store(root)
    for spec in plan.runs:
        if keep(spec):
            known = {"id": spec.id, "fingerprint": spec.fingerprint, "notes": []}
            store.put(spec.id, outcome_of(spec), known)
    return collect(plan, store)


def outcome_of(spec: RunSpec) -> Outcome:
    """Return metrics between 0 and 1 by the run's id; every other flow count never converges."""
    digest = hashlib.sha256(spec.id.encode()).digest()
    metrics: dict[str, Any] = {
        metric: digest[place] / 256 for place, metric in enumerate(KINDS.get(spec.kind).metrics)
    }
    metrics |= {name: digest[-1] % 2 for name in metrics if name.endswith("agrees")}
    metrics["queue_delay_ms"] *= 500
    metrics["queue_delay_p95_ms"] = 2 * metrics["queue_delay_ms"]
    if "competitor_share" in metrics:
        metrics["competitor_share"] *= 2
    if digest[20] < 100:
        metrics["convergence_s"] = None
    return Outcome(metrics, {"over_time": _series(spec)})


def _series(spec: RunSpec) -> dict[str, list[Any]]:
    flows = spec.config["flows"] + len(spec.config["competitors"])
    times = np.arange(0, 5, 0.5)
    names = [f"{spec.config['policy']} {i + 1}" for i in range(flows)] + ["link"]
    columns: dict[str, list[Any]] = {}
    for place, name in enumerate(names):
        silent = name == "link" or place % 2
        rows = {
            "flow": [place] * len(times),
            "name": [name] * len(times),
            "start_s": times.tolist(),
            "goodput_mbps": (30 * np.exp(-times / (1 + place))).tolist(),
            "queue_delay_ms": [None if silent else float(t) for t in times],
            "sent": [1] * len(times),
            "dropped": [0] * len(times),
        }
        for column, values in rows.items():
            columns.setdefault(column, []).extend(values)
    return columns
