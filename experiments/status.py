"""What `triptych status` shows: counts, runs under way, failures with the command to redo them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from experiments.owners import Owners
from experiments.plan import Plan
from experiments.reproduce import estimate, rerun_command
from experiments.store import Store
from experiments.tables import collect


def status_rows(plans: Iterable[Plan], store: Store) -> list[dict[str, Any]]:
    """Return the state of each plan as plain values."""
    owners, rows = Owners(store.root), []
    for plan in plans:
        results = collect(plan, store)
        done = set(results.run_ids)
        todo = [spec.id for spec in plan.runs if spec.id not in done]
        failures = []
        for run_id in results.failed:
            record = store.failure(run_id) or {}
            failures.append(
                {
                    "run_id": run_id,
                    "how": record.get("how"),
                    "reason": record.get("reason"),
                    "attempts": record.get("attempts"),
                    "command": rerun_command(plan, run_id, record.get("how")),
                }
            )
        rows.append(
            {
                "id": plan.manifest.id,
                "size": plan.size,
                "planned": len(plan.runs),
                "done": len(done),
                "stale": len(results.stale),
                "running": [i for i in todo if owners.owner(i) is not None],
                "failures": failures,
                "time_left": estimate(plan, len(todo)),
            }
        )
    return rows


def print_status(rows: Sequence[dict[str, Any]]) -> None:
    """Print the rows for people."""
    for row in rows:
        parts = [f"{row['done']}/{row['planned']} done"]
        parts += [f"{row['stale']} stale"] if row["stale"] else []
        parts += [f"{len(row['running'])} running"] if row["running"] else []
        parts += [f"{len(row['failures'])} failed"] if row["failures"] else []
        parts += [f"about {row['time_left']} left"] if row["done"] < row["planned"] else []
        print(f"{row['id']} ({row['size']}): {', '.join(parts)}")
        for failure in row["failures"]:
            print(f"  {failure['run_id'][:12]} {failure['how']}: {failure['reason']}")
            print(f"    {failure['command']}")
