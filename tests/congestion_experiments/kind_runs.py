"""Runs of a kind through its public contract, for tests."""

from __future__ import annotations

import math
from typing import Any

from experiments.kinds.base import KINDS, Outcome
from sim.streams import canonical_json


def settle(kind: str, **changes: Any) -> dict[str, Any]:
    """Validate and resolve a configuration."""
    config = KINDS.get(kind).Config.model_validate(changes).model_dump(mode="json")
    return KINDS.get(kind).resolve(config)


def run(kind: str, policy: str | None, seed: int = 0, **changes: Any) -> Outcome:
    """Validate, resolve and run a configuration."""
    return KINDS.get(kind).run({**settle(kind, **changes), "policy": policy, "seed": seed})


def checked(kind: str, outcome: Outcome) -> dict[str, Any]:
    """Return the metrics, which are those that the kind declares, finite or null."""
    metrics: dict[str, Any] = dict(outcome.metrics)
    assert set(metrics) == set(KINDS.get(kind).metrics)
    assert all(math.isfinite(value) for value in metrics.values() if value is not None)
    assert canonical_json(metrics)
    for columns in outcome.tables.values():
        assert len({len(values) for values in columns.values()}) == 1
    return metrics
