"""Recorded results: tables of finished runs, kept in the repository with where they come from.

What takes hours, or hardware that few have, is recorded once: the exported table of a plan
(`<name>.parquet`) and who made it when (`<name>.json`). A recorded table is drawn and its claims
are checked like any other, and both say `recorded`. It belongs to the configuration that made it:
after a change of the manifest its runs have other ids, and it is left out. Series over time are
kept (`<name>.<series>.parquet`) where the kind of run names them in `recorded_series`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import paths
from experiments.files import read_json, write_atomic, write_json
from experiments.kinds.base import KINDS
from experiments.manifest import SIZES, Manifest
from experiments.plan import make_plan
from experiments.problems import InputError
from experiments.store import Store
from experiments.tables import Results, compact

if TYPE_CHECKING:
    import pandas as pd

KEPT = (
    *("id", "commit", "dirty", "host", "versions"),
    *("start", "wall_s", "peak_memory_bytes", "notes"),
)


@dataclass(frozen=True)
class RecordedResults(Results):
    """Results of a plan that were recorded."""

    file: Path = Path()

    @property
    def origin(self) -> str:
        """Where the numbers come from."""
        return "recorded"

    @cached_property
    def table(self) -> pd.DataFrame:
        """As in `Results`."""
        import pandas as pd

        table = pd.read_parquet(self.file)
        return table.loc[table["run_id"].isin(list(self.run_ids))].reset_index(drop=True)

    def series(self, name: str, run_ids: Iterable[str] | None = None) -> pd.DataFrame:
        """As in `Results`; nothing where that series is not recorded."""
        import pandas as pd

        file = _series_file(self.file, name)
        if not file.is_file():
            return pd.DataFrame()
        frame = pd.read_parquet(file)
        wanted = list(self.run_ids if run_ids is None else run_ids)
        return frame.loc[frame["run_id"].isin(wanted)].reset_index(drop=True)

    def provenance(self) -> list[dict[str, Any]]:
        """Return what was kept of `run.json` of every run."""
        return list(_about(self.file)["runs"])

    def state(self) -> str:
        """Return what changes when the file does."""
        return str(self.file.stat().st_mtime_ns)


def recorded(manifest: Manifest, store: Store, size: str | None = None) -> RecordedResults | None:
    """Return the recorded results of an experiment, if there are any at that size (any if None).

    Raises:
        InputError: the record is damaged.
    """
    file = paths.RECORDED / manifest.paper / f"{manifest.name}.parquet"
    if not file.is_file():
        return None
    about = _about(file)
    if size not in (None, about["size"]):
        return None
    plan = make_plan(manifest, about["size"])
    known = {record["id"] for record in about["runs"]}
    ids = tuple(spec.id for spec in plan.runs if spec.id in known)
    if len(ids) < len(plan.runs):
        return None  # the manifest has changed since
    return RecordedResults(store, plan, ids, (), (), file)


def record(results: Results) -> Path:
    """Keep the results of a plan in the repository; return the table's file.

    Raises:
        InputError: runs are missing, failed, or made by other code than the present one.
    """
    plan, manifest = results.plan, results.manifest
    if plan.overridden or len(results.run_ids) < len(plan.runs) or results.stale:
        raise InputError(
            f"{manifest.id} ({plan.size}): {len(results.run_ids)} of {len(plan.runs)} runs,"
            f" {len(results.stale)} stale; only whole and current results are recorded"
        )
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(compact(results), buffer, compression="zstd")
    file = paths.RECORDED / manifest.paper / f"{manifest.name}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, buffer.getvalue())
    for name in getattr(KINDS.get(manifest.kind), "recorded_series", ()):
        kept = io.BytesIO()
        results.series(name).to_parquet(kept, compression="zstd", index=False)
        write_atomic(_series_file(file, name), kept.getvalue())
    runs = [{key: run.get(key) for key in KEPT} for run in results.provenance()]
    command = f"triptych reproduce {manifest.id} --size {plan.size}"
    about = {"schema": 1, "experiment": manifest.id, "size": plan.size, "command": command}
    write_json(file.with_suffix(".json"), about | {"runs": runs})
    return file


def _series_file(file: Path, name: str) -> Path:
    return file.with_name(f"{file.stem}.{name}.parquet")


def _about(file: Path) -> dict[str, Any]:
    about = read_json(file.with_suffix(".json"))
    runs = about.get("runs") if isinstance(about, dict) else None
    whole = isinstance(runs, list) and all(isinstance(r, dict) and "id" in r for r in runs)
    if not isinstance(about, dict) or about.get("size") not in SIZES or not whole:
        raise InputError(f"{file.with_suffix('.json')} is damaged: size and runs are needed")
    return about
