"""What a workload reads is settled on this machine, before the run's identity is taken.

Apart from `serving_pools`, which needs numba: configurations are settled where nothing runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from experiments.kinds.serving_workloads import REAL_SOURCES
from serving.traces.catalog import TRACES, digest, locate, missing_message
from serving.traces.clients import clients_digest, clients_missing_message, locate_clients


def settled(workload: dict[str, Any]) -> dict[str, Any]:
    """Replace a trace by its digest, or by its stand-in where it is absent.

    Raises:
        ValueError: it is absent and has no stand-in.
    """
    if workload["kind"] == "mix":
        return _settled_mix(workload)
    found = with_digest(workload)
    if found is not None:
        return found
    if workload["kind"] == "file":
        raise ValueError(f"workload.path: there is no file {workload['path']}")
    if workload["kind"] == "clients":
        raise ValueError(clients_missing_message(workload["name"]))
    if not TRACES[workload["name"]].has_standin:
        raise ValueError(missing_message(workload["name"]))
    return {
        "kind": "standin",
        "name": workload["name"],
        "requests": workload.get("requests"),
    }


def with_digest(workload: dict[str, Any]) -> dict[str, Any] | None:
    """Return the workload with the digest of what it reads; None where that is absent."""
    if workload["kind"] == "trace":
        path = locate(workload["name"])
        return path and {**workload, "sha256": workload.get("sha256") or digest(path)}
    if workload["kind"] == "file":
        path = Path(workload["path"])
        return {**workload, "sha256": digest(path)} if path.is_file() else None
    if workload["kind"] == "clients":
        path = locate_clients(workload["name"])
        return path and {**workload, "sha256": workload.get("sha256") or clients_digest(path)}
    return workload


def _settled_mix(workload: dict[str, Any]) -> dict[str, Any]:
    """Add the digest of the compute-heavy trace; without one its generator is drawn from."""
    name = workload["compute_source"]
    if name not in REAL_SOURCES:
        return {**workload, "compute_sha256": None}
    path = locate(name)
    return {**workload, "compute_sha256": path and (workload["compute_sha256"] or digest(path))}
