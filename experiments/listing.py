"""State of experiments in the store: what `list` and `status` show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from experiments.catalog import Entry
from experiments.run_index import RunIndex
from experiments.store import Store


@dataclass(frozen=True)
class State:
    """Counts of an experiment's runs at one size, and what they amount to."""

    planned: int
    done: int
    failed: int
    stale: int

    @property
    def word(self) -> str:
        """`never`, `partial`, `done`, `stale` or `failed`."""
        if self.failed:
            return "failed"
        if self.stale:
            return "stale"
        if self.done == 0:
            return "never"
        return "done" if self.done == self.planned else "partial"


def states(entries: Sequence[Entry], size: str, store: Store) -> dict[str, State]:
    """Return the state of each experiment at `size`, by id."""
    made_by = RunIndex(store).fingerprints(i for e in entries for i, _ in e.runs[size])
    failures = store.failures()
    found = {}
    for entry in entries:
        runs = entry.runs[size]
        done = [(i, mark) for i, mark in runs if i in made_by]
        found[entry.id] = State(
            planned=len(runs),
            done=len(done),
            failed=sum(i in failures and i not in made_by for i, _ in runs),
            stale=sum(made_by[i] != entry.fingerprints[mark] for i, mark in done),
        )
    return found


def as_json(entry: Entry, state: State, present: set[str]) -> dict[str, Any]:
    """Return one experiment as `list --json` prints it."""
    return {
        "id": entry.id,
        "paper": entry.paper,
        "panel": entry.panel,
        "artefact": entry.artefact,
        "title": entry.title,
        "claims": entry.claims,
        "policies": entry.policies,
        "needs": entry.needs,
        "available": set(entry.needs) <= present,
        "promise": entry.promise,
        "seconds": entry.seconds,
        "runs": {
            "planned": state.planned,
            "done": state.done,
            "failed": state.failed,
            "stale": state.stale,
        },
        "state": state.word,
    }
