"""Finished runs to one table per experiment and size: the exported metrics.

A table holds what was asked and what came out, one row a run in the order of the plan, and no
provenance: its bytes are equal whatever the number of workers, interruptions or the machine's
clock. It is compacted into Parquet, so that figures and the report read one file.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.files import write_atomic
from experiments.manifest import Manifest
from experiments.plan import Plan
from experiments.run_index import RunIndex
from experiments.store import Store

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class Results:
    """What figures, claims and the report read: the finished runs of one plan.

    Attributes:
        store: where the runs lie.
        plan: what was planned; `plan.manifest` says what it means.
        run_ids: ids of the finished runs, in the order of the plan.
        failed: ids of planned runs whose last attempt failed.
        stale: ids of finished runs that other code made.
    """

    store: Store
    plan: Plan
    run_ids: tuple[str, ...]
    failed: tuple[str, ...]
    stale: tuple[str, ...]

    @property
    def manifest(self) -> Manifest:
        """The experiment."""
        return self.plan.manifest

    @property
    def origin(self) -> str:
        """Where the numbers come from: simulated, measured or recorded."""
        return self.manifest.origin

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a run: run_id, policy, seed, the axes under their dotted names, the metrics."""
        return compact(self).to_pandas()

    def series(self, name: str, run_ids: Iterable[str] | None = None) -> pd.DataFrame:
        """Return the runs' table `name`, rows labelled by run_id, policy and seed.

        Empty if no run has such a table. Queried by DuckDB over the runs' Parquet files.
        """
        import duckdb
        import pandas as pd

        wanted = list(self.run_ids if run_ids is None else run_ids)
        files = {str(self.store.folder(i) / f"{name}.parquet"): i for i in wanted}
        present = [file for file in files if Path(file).is_file()]
        if not present:
            return pd.DataFrame()
        with duckdb.connect() as connection:
            frame = connection.execute(
                "SELECT * FROM read_parquet(?, filename=true, union_by_name=true)", [present]
            ).df()
        frame.insert(0, "run_id", frame.pop("filename").map(files))
        labels = self.table.set_index("run_id")[["policy", "seed"]]
        return frame.join(labels, on="run_id")

    def provenance(self) -> list[dict[str, Any]]:
        """Return `run.json` of every finished run."""
        return [p for i in self.run_ids if (p := self.store.provenance(i)) is not None]

    def state(self) -> str:
        """Return a text that changes when a stored run does."""
        files = ((i, self.store.folder(i) / "run.json") for i in self.run_ids)
        return "\n".join(f"{i} {file.stat().st_mtime_ns}" for i, file in files)


def collect(plan: Plan, store: Store) -> Results:
    """Return the state of a plan in the store."""
    made_by = RunIndex(store).fingerprints(spec.id for spec in plan.runs)
    failed = store.failures()
    done = [spec for spec in plan.runs if spec.id in made_by]
    return Results(
        store,
        plan,
        run_ids=tuple(spec.id for spec in done),
        failed=tuple(s.id for s in plan.runs if s.id in failed and s.id not in made_by),
        stale=tuple(spec.id for spec in done if made_by[spec.id] != spec.fingerprint),
    )


def compact(results: Results) -> pa.Table:
    """Return the table of the finished runs (columns as in `Results.table`)."""
    import pyarrow as pa

    specs = {spec.id: spec for spec in results.plan.runs}
    axes = list(dict.fromkeys(name for spec in results.plan.runs for name in spec.point))
    rows = []
    for run_id in results.run_ids:
        spec = specs[run_id]
        metrics = results.store.metrics(run_id)
        if metrics is None:
            continue
        rows.append(
            {"run_id": run_id, "policy": spec.config["policy"], "seed": spec.config["seed"]}
            | {name: _cell(spec.point.get(name)) for name in axes}
            | dict(sorted(metrics.items()))
        )
    names = list(dict.fromkeys(name for row in rows for name in row)) or [
        "run_id",
        "policy",
        "seed",
    ]
    return pa.table({name: _column([row.get(name) for row in rows]) for name in names})


def export(results: Results, root: Path) -> Path:
    """Write the table of the plan's finished runs below `root/tables`; return the file."""
    import pyarrow.parquet as pq

    manifest, plan = results.manifest, results.plan
    suffix = f"+{plan.digest[:8]}" if plan.overridden else ""
    path = root / "tables" / manifest.paper / f"{manifest.name}.{plan.size}{suffix}.parquet"
    buffer = io.BytesIO()
    pq.write_table(compact(results), buffer, compression="zstd")
    data = buffer.getvalue()
    if not path.is_file() or path.read_bytes() != data:
        write_atomic(path, data)
    return path


def _cell(value: Any) -> Any:
    """Return an axis value as a scalar; parts (`overlap: {kind: sum}`) become compact text."""
    if isinstance(value, dict) and set(value) == {"kind"}:
        return value["kind"]
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


def _column(values: Sequence[Any]) -> Any:
    """Return an Arrow column of one type: int64, float64, bool or text."""
    import pyarrow as pa

    kinds = {type(v) for v in values if v is not None}
    if kinds <= {int}:
        return pa.array(values, pa.int64() if kinds else pa.null())
    if kinds <= {int, float}:
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    return pa.array([None if v is None else str(v) for v in values], pa.string())
