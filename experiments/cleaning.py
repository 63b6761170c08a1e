"""Removing results that nobody wants any more."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from experiments.catalog import entries, select
from experiments.owners import Owners
from experiments.run_index import RunIndex
from experiments.store import Store


def clean(root: Path, patterns: Sequence[str], *, stale_only: bool, really: bool) -> int:
    """Remove the runs of the experiments that match, or only their stale ones.

    Without a pattern and without `stale_only`, only leftovers of killed writers and records of
    failures go. Runs that a live process is doing are left alone. Returns how many runs went,
    or would go.

    Raises:
        InputError: a pattern matches no experiment.
    """
    store = Store(root)
    doomed = _doomed(store, patterns, stale_only)
    if really:
        for run_id in doomed:
            shutil.rmtree(store.folder(run_id), ignore_errors=True)
        if not patterns and not stale_only:
            shutil.rmtree(root / "failed", ignore_errors=True)
        store.sweep_leftovers()
    return len(doomed)


def _doomed(store: Store, patterns: Sequence[str], stale_only: bool) -> list[str]:
    if not patterns and not stale_only:
        return []
    chosen = select(patterns or ["*"], entries())
    wanted = {
        i: e.fingerprints[mark] for e in chosen for runs in e.runs.values() for i, mark in runs
    }
    made_by, owners = RunIndex(store).fingerprints(wanted), Owners(store.root)
    return [
        run_id
        for run_id, mark in made_by.items()
        if (not stale_only or mark != wanted[run_id]) and owners.owner(run_id) is None
    ]
