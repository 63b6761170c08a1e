"""Which runs are finished, and by what code: answered for thousands of runs in milliseconds.

The answer is in each run's `run.json`; a small file keeps what was read there, checked against
the modification time, and can be deleted at any moment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from experiments.files import read_json, write_json
from experiments.store import Store


class RunIndex:
    """Reads fingerprints of finished runs through a cache beside the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._path = store.root / "index.json"
        known = read_json(self._path)
        self._known: dict[str, list] = known if isinstance(known, dict) else {}

    def fingerprints(self, run_ids: Iterable[str]) -> dict[str, str]:
        """Return id -> code fingerprint for those of `run_ids` that are finished."""
        found: dict[str, str] = {}
        changed = False
        for run_id in run_ids:
            stamp = self._stamp(run_id)
            if stamp is None:
                continue
            entry = self._known.get(run_id)
            if not isinstance(entry, list) or len(entry) != 2 or entry[0] != stamp:
                record = self.store.provenance(run_id) or {}
                self._known[run_id] = entry = [stamp, str(record.get("fingerprint"))]
                changed = True
            found[run_id] = entry[1]
        if changed:
            self._save()
        return found

    def _stamp(self, run_id: str) -> int | None:
        try:
            return os.stat(self.store.folder(run_id) / "run.json").st_mtime_ns
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _save(self) -> None:
        try:
            write_json(self._path, self._known)
        except OSError:  # only speed is lost, on a full or read-only disk
            return
