"""Whether a figure on the disk is the one that these results and this code would draw."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from experiments import paths
from experiments.files import read_json, write_json
from experiments.fingerprint import fingerprint
from experiments.tables import Results


class Drawn:
    """A note beside a figure's files: what they were drawn from, and their digests.

    Figures repeat to the byte, so drawing an unchanged one again would only cost time.
    """

    def __init__(self, targets: Sequence[Path], results: Results, source: Path) -> None:
        self._targets = list(targets)
        self._note = targets[0].with_name(f".{targets[0].stem}.drawn.json")
        self._key = _key(results, source)

    def is_current(self) -> bool:
        """Say whether all files are there as they were drawn, from what there is now."""
        note = read_json(self._note)
        return isinstance(note, dict) and note == {"key": self._key, "files": self._digests()}

    def remember(self) -> None:
        """Note that the files have just been drawn."""
        write_json(self._note, {"key": self._key, "files": self._digests()})

    def _digests(self) -> dict[str, str | None]:
        return {path.name: _digest(path) for path in self._targets}


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _recorded_state(results: Results) -> str:
    """Return a text that changes when the record does that a figure may show beside the runs."""
    manifest = results.manifest
    file = paths.RECORDED / manifest.paper / f"{manifest.name}.parquet"
    return str(file.stat().st_mtime_ns) if file.is_file() else ""


def _key(results: Results, source: Path) -> str:
    """Return a hash over the plan, the stored runs and the sources that draw them."""
    digest = hashlib.sha256(fingerprint([source]).encode())
    parts = (results.manifest.model_dump_json(), results.plan.size, results.plan.digest)
    states = (results.failed, results.stale)
    digest.update(repr((parts, results.plan.overridden, states)).encode())
    digest.update(results.state().encode())
    digest.update(_recorded_state(results).encode())
    return digest.hexdigest()
