"""What the project holds on each experiment, read once: manifest, record, checked claims."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from experiments.claims import Check, check_claims
from experiments.files import read_json
from experiments.manifest import Manifest
from experiments.paths import MANIFESTS, RECORDED
from experiments.recorded import RecordedResults, recorded
from experiments.store import Store


@dataclass(frozen=True)
class Known:
    """One experiment.

    Attributes:
        manifest: its manifest.
        record: its recorded results, None where there are none that this checkout can use.
        checks: its claims against them; verdict `not_run` without a record.
        has_file: whether there is a record, usable or not.
    """

    manifest: Manifest
    record: RecordedResults | None
    checks: tuple[Check, ...]
    has_file: bool

    def made(self) -> str:
        """Say who made the record: size, days, commits, hosts."""
        if self.record is None:
            return ""
        runs = self.record.provenance()
        days = sorted({str(run.get("start", ""))[:10] for run in runs})
        commits = sorted({str(run.get("commit", ""))[:8] for run in runs})
        span = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
        size = self.record.plan.size
        return f"size {size}, {len(runs)} runs, {span}, commit {', '.join(commits)}"


@cache
def known() -> dict[str, Known]:
    """Return every experiment by id, in order."""
    from experiments.check import load_manifest

    store = Store(Path(tempfile.gettempdir()) / "triptych-no-results")
    found = {}
    for path in sorted(MANIFESTS.glob("*/*.yaml"), key=lambda path: path.with_suffix("")):
        manifest = load_manifest(path)
        record = recorded(manifest, store)
        checks = check_claims(record) if record else [*_unchecked(manifest, store)]
        file = RECORDED / manifest.paper / f"{manifest.name}.json"
        has_file = read_json(file) is not None if file.is_file() else False
        found[manifest.id] = Known(manifest, record, tuple(checks), has_file)
    return found


def _unchecked(manifest: Manifest, store: Store) -> list[Check]:
    """Return the claims of an experiment without runs."""
    from experiments.plan import make_plan
    from experiments.tables import Results

    if not manifest.claims:
        return []
    return check_claims(Results(store, make_plan(manifest, "quick"), (), (), ()))
