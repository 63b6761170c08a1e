"""Experiments whose runs are arithmetic, for tests of figures, comparisons and the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from experiments.identity import RunSpec
from experiments.kinds.base import KINDS
from experiments.manifest import Manifest
from experiments.plan import make_plan
from experiments.store import Store
from experiments.tables import Results, collect
from experiments.worker import failure_record
from policies.registry import load_plugin

PLUGIN = Path(__file__).with_name("plugin_orders.py")
POLICIES = ["blendserve", "prefix_dfs", "longest_first", "shuffled", "arrival"]
OVERLAPS = [{"kind": "sum"}, {"kind": "partial", "h": 0.5}, {"kind": "max"}]
MIXES = {"workload.density": [1.4, 0.9, 1.4, 0.9], "workload.sharing": [0.35, 0.35, 0.05, 0.05]}
ENVIRONMENT = {
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "dirty": None,
    "versions": {"python": "3.11.2", "numpy": "2.4.6"},
    "host": {"name": "bench", "system": "Linux 6.1", "cpu": "Some CPU", "cores": 2},
    "start": "2026-01-02T03:04:05.678+00:00",
    "wall_s": 1.25,
    "peak_memory_bytes": 123 << 20,
}


def claim(
    name: str, metric: str, kind: str, value: float, tolerance: float, **more: Any
) -> dict[str, Any]:
    """Return a claim on BlendServe as a manifest writes it."""
    over = {"over": "prefix_dfs"} if kind != "mean" else {}
    return {
        "id": name,
        "statement": f"BlendServe's {metric} is {value}",
        "metric": metric,
        "unit": "ratio" if over else "share",
        "statistic": {"kind": kind, "policy": "blendserve", **over, "where": {}},
        "paper": {"value": value, "mark": "printed", "source": "Fig. 7a"},
        "tolerance": {"kind": "abs", "value": tolerance},
        **more,
    }


CLAIMS = [
    claim("mean_gain", "throughput_tokens_s", "ratio", 1.2084, 0.2),
    claim("optimum", "share_of_practical_optimum", "mean", 0.8655, 0.05),
    claim("sharing", "sharing_kept", "mean", 0.85, 0.02),
]


def manifest(identifier: str = "blendserve/orders-mooncake", **fields: Any) -> Manifest:
    """Return a manifest of synthetic runs: all orders, three overlap models, three seeds."""
    plain = {
        "schema": 1,
        "id": identifier,
        "title": "Request orders on one trace",
        "question": "Does an order that balances compute and memory beat depth-first order?",
        "panel": "serving",
        "artefact": "Fig. 7a",
        "kind": "synthetic-orders",
        "promise": "L0",
        "axes": [{"grid": {"overlap": OVERLAPS}}],
        "policies": POLICIES,
        "seeds": 3,
        "metrics": ["throughput_tokens_s", "prefix_hit_ratio"],
        "sizes": {name: {"seconds": 5.0} for name in ("quick", "standard", "paper")},
        "claims": CLAIMS,
    }
    return Manifest.model_validate(plain | fields)


def mixes(**fields: Any) -> Manifest:
    """Return a manifest over the four mixes."""
    return manifest("blendserve/orders-mixes", axes=[{"zip": MIXES}], **fields)


def results_of(
    made: Manifest,
    root: Path,
    keep: Callable[[RunSpec], bool] = lambda spec: True,
    fail: Callable[[RunSpec], bool] = lambda spec: False,
    fingerprint: str | None = None,
) -> Results:
    """Return the results of the runs that `keep` wants; those that `fail` names have failed."""
    if "synthetic-orders" not in KINDS.names():
        load_plugin(PLUGIN, [KINDS])
    plan, store = make_plan(made, "quick"), Store(root)
    for spec in plan.runs:
        if fail(spec):
            trace = "Traceback (most recent call last):\n  <img src=x onerror=alert(1)>"
            store.put_failure(spec.id, failure_record(spec, "timeout", "took <too> long", trace))
        elif keep(spec):
            outcome = KINDS.get(spec.kind).run(dict(spec.config))
            known = {
                "id": spec.id,
                "fingerprint": fingerprint or spec.fingerprint,
                "notes": outcome.notes,
            }
            store.put(spec.id, outcome, {**ENVIRONMENT, **known, "notes": list(outcome.notes)})
    return collect(plan, store)


def only(results: Results, keep: Callable[[RunSpec], bool]) -> Results:
    """Return the results as if only the runs that `keep` wants had finished."""
    kept = {spec.id for spec in results.plan.runs if keep(spec)}
    return replace(results, run_ids=tuple(i for i in results.run_ids if i in kept))
