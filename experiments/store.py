"""The store of runs: one directory per run, written beside and renamed into place.

    runs/<id[:2]>/<id>/run.json        provenance; written last, its presence means done
                      /metrics.json    what the run computed, and nothing else
                      /<table>.parquet series, if the run has any
    failed/<id>.json                   the last failure; never counts as a result
    owners/<id>.json                   who is at it now (see `experiments.owners`)

State is derived from these files alone.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.files import read_json, sync_folder, write_json, write_synced
from experiments.owners import STALE_AFTER_S, host, process_start
from sim.streams import canonical_json

if TYPE_CHECKING:
    from experiments.kinds.base import Outcome

MAX_TRIES = 100


class Store:
    """The runs below one folder. Any number of processes may use one folder at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, run_id: str) -> Path:
        """Return where the finished run lies, or would lie."""
        return self.root / "runs" / run_id[:2] / run_id

    def has(self, run_id: str) -> bool:
        """Say whether the run is finished."""
        return (self.folder(run_id) / "run.json").is_file()

    def finished(self) -> set[str]:
        """Return the ids of all finished runs."""
        found: set[str] = set()
        for shard in _entries(self.root / "runs"):
            found.update(e.name for e in _entries(Path(shard.path)) if not e.name.startswith("."))
        return found

    def provenance(self, run_id: str) -> dict[str, Any] | None:
        """Return `run.json` of a finished run, or None."""
        return _read_mapping(self.folder(run_id) / "run.json")

    def metrics(self, run_id: str) -> dict[str, Any] | None:
        """Return the metrics of a finished run, or None."""
        return _read_mapping(self.folder(run_id) / "metrics.json")

    def failure(self, run_id: str) -> dict[str, Any] | None:
        """Return the record of the run's last failure, or None."""
        return _read_mapping(self.root / "failed" / f"{run_id}.json")

    def failures(self) -> set[str]:
        """Return the ids of all runs whose last attempt failed."""
        names = (e.name for e in _entries(self.root / "failed"))
        return {n.removesuffix(".json") for n in names if n.endswith(".json") and n[0] != "."}

    def put(self, run_id: str, outcome: Outcome, provenance: Mapping[str, Any]) -> None:
        """Store a finished run, replacing an older result of the same identity.

        Raises:
            OSError: the disk is full or not writable; what was stored before stays.
            ValueError: a metric is not finite, or a table's columns differ in length.
        """
        final = self.folder(run_id)
        mark = f"{_host_mark()}-{os.getpid()}-{process_start(os.getpid())}-{uuid.uuid4().hex[:8]}"
        beside = final.parent / f".{run_id}.{mark}"
        beside.mkdir(parents=True)
        try:
            for name, columns in outcome.tables.items():
                _write_table(beside / f"{name}.parquet", columns)
            write_synced(beside / "metrics.json", canonical_json(dict(outcome.metrics)).encode())
            write_json(beside / "run.json", dict(provenance))
            sync_folder(beside)
            self._into_place(beside, final)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        (self.root / "failed" / f"{run_id}.json").unlink(missing_ok=True)

    def put_failure(self, run_id: str, record: Mapping[str, Any]) -> None:
        """Record that an attempt failed, with how many attempts have."""
        before = self.failure(run_id) or {}
        attempts = int(before.get("attempts", 0)) + 1
        write_json(self.root / "failed" / f"{run_id}.json", {**record, "attempts": attempts})

    def sweep_leftovers(self) -> int:
        """Clear what killed writers left beside their runs; return how many there were.

        A leftover that is complete and has no finished twin is put in place instead of removed.
        """
        cleared = 0
        for shard in list(_entries(self.root / "runs")):
            left = [e.name for e in _entries(Path(shard.path)) if e.name.startswith(".")]
            for name in sorted(left, key=lambda n: n.endswith("-old")):
                leftover = Path(shard.path) / name
                if not _is_being_written(leftover):
                    self._settle(leftover)
                    cleared += 1
        return cleared

    def _settle(self, leftover: Path) -> None:
        final = leftover.with_name(leftover.name.split(".")[1])
        if (leftover / "run.json").is_file() and not final.exists():
            with contextlib.suppress(OSError):  # another process settled it, or put a new one
                os.rename(leftover, final)
        else:
            shutil.rmtree(leftover, ignore_errors=True)

    @staticmethod
    def _into_place(beside: Path, final: Path) -> None:
        """Rename; a directory cannot be renamed over a full one, so the old one steps aside."""
        old = beside.with_name(f"{beside.name}-old")
        for _ in range(MAX_TRIES):  # several processes may put one run; the last one stays
            if final.exists():
                shutil.rmtree(old, ignore_errors=True)
                with contextlib.suppress(FileNotFoundError):
                    os.rename(final, old)
            try:
                os.rename(beside, final)
                break
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    continue
                if old.exists():
                    os.rename(old, final)
                raise
        else:
            raise OSError(errno.EBUSY, "others keep putting this run", str(final))
        shutil.rmtree(old, ignore_errors=True)
        sync_folder(final.parent)


def _read_mapping(path: Path) -> dict[str, Any] | None:
    value = read_json(path)
    return value if isinstance(value, dict) else None


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError):
        return


def _is_being_written(path: Path) -> bool:
    """Say whether the process in the name `.<id>.<host>-<pid>-<start>-<random>[-old]` is alive.

    Of a process on another host, only the time since it last wrote is known.
    """
    mark, pid, start = [*path.name.rsplit(".", 1)[-1].split("-"), "", ""][:3]
    if mark == _host_mark():
        return process_start(pid) == start
    try:
        return time.time() - path.stat().st_mtime < STALE_AFTER_S
    except OSError:
        return False


@functools.cache
def _host_mark() -> str:
    return hashlib.sha256(host().encode()).hexdigest()[:8]


def _write_table(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pa.table(dict(columns))
    except pa.ArrowException as error:
        raise ValueError(f"table {path.stem}: {error}") from None
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    write_synced(path, buffer.getvalue())
