"""What `on_gpu engine` measured: times of whole runs, per order, way and repeat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.overlap.on_gpu.decoder import MODES
from serving.overlap.on_gpu.engine import FORMAT
from serving.overlap.on_gpu.rows import rows_of

SIMULATED = ("sum", "half", "max")
_SAME = ("device", "driver", "torch", "model", "layers", "attention", "segment")


@dataclass(frozen=True)
class GpuRun:
    """One whole run on the GPU.

    Attributes:
        seconds: of all steps, on the device.
        steps: batch steps.
        tokens: prompt and output tokens of the pool, cached ones counted.
        launch_bound: share of the time in steps that the CPU took longer to queue.
        simulated_s: per name in `SIMULATED` what the simulator says of the same steps.
        origin: device, versions, model and number of layers.
    """

    seconds: float
    steps: int
    tokens: int
    launch_bound: float
    simulated_s: dict[str, float]
    origin: str


def read_runs(path: Path) -> dict[tuple[str, str, int], GpuRun]:
    """Return the whole runs of a file by (order, way, repeat); begun ones are left out.

    Raises:
        ValueError: the file is damaged, or holds dry runs; the message names line and field.
        OSError: it cannot be read.
    """
    parts: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    first: dict[str, Any] = {}
    for number, row in enumerate(rows_of(path, FORMAT), 1):
        _check(f"{path}, line {number}", row, first := first or row)
        parts.setdefault((row["order"], row["mode"], row["repeat"]), []).append(row)
    if not first:
        raise ValueError(f"{path}: no measured step; on_gpu engine --out writes them")
    return {key: found for key, rows in parts.items() if (found := _whole(rows)) is not None}


def _check(where: str, row: dict[str, Any], first: dict[str, Any]) -> None:
    if row.get("dry") is not False:
        raise ValueError(f"{where}: dry: times of a dry run mean nothing; measure on a GPU")
    for name in _SAME:
        if row.get(name) != first.get(name):
            raise ValueError(f"{where}: {name}: one file holds one, not {row.get(name)!r} as well")
    if row.get("mode") not in MODES or not isinstance(row.get("order"), str):
        raise ValueError(f"{where}: order and mode (one of {', '.join(MODES)}) are needed")
    for name in ("repeat", "first", "steps", "tokens"):
        if not isinstance(row.get(name), int) or row[name] < 0:
            raise ValueError(f"{where}: {name} must be a whole number >= 0")
    simulated = row.get("simulated_ms")
    if not isinstance(simulated, dict) or set(simulated) != set(SIMULATED):
        raise ValueError(f"{where}: simulated_ms must hold {', '.join(SIMULATED)}")
    times = {"step_ms": row.get("step_ms"), "host_ms": row.get("host_ms")}
    times["simulated_ms"] = list(simulated.values())
    for name, values in times.items():
        if not isinstance(values, list) or not values or not all(map(_is_time, values)):
            raise ValueError(f"{where}: {name} must be positive, finite ms")
    if len(row["step_ms"]) != len(row["host_ms"]):
        raise ValueError(f"{where}: step_ms and host_ms must be of the same steps")


def _is_time(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value > 0


def _whole(rows: list[dict[str, Any]]) -> GpuRun | None:
    """Return the run that these segments make up, None if some lack."""
    rows = sorted(rows, key=lambda row: row["first"])
    reached = 0
    for row in rows:
        if row["first"] != reached:
            return None
        reached += len(row["step_ms"])
    head = rows[0]
    if reached != head["steps"]:
        return None
    pairs = [p for r in rows for p in zip(r["step_ms"], r["host_ms"], strict=True)]
    total = sum(step for step, _ in pairs)
    bound = sum(step for step, host in pairs if host > step)
    told = f"{head['device']}, driver {head['driver']}, torch {head['torch']}; {head['model']}"
    return GpuRun(
        total / 1e3,
        reached,
        head["tokens"],
        bound / total,
        {name: sum(row["simulated_ms"][name] for row in rows) / 1e3 for name in SIMULATED},
        f"{told}, {head['layers']} layers, attention {head['attention']}, random weights",
    )
