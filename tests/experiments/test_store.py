"""The store: whole results or none, whoever writes, whatever fails."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from experiments import files
from experiments.files import read_json, write_atomic
from experiments.kinds.base import Outcome
from experiments.owners import process_start
from experiments.store import Store, _host_mark

ID = hashlib.sha256(b"run").hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


def outcome(value: float = 1.0) -> Outcome:
    return Outcome({"value": value, "word": "é"}, {"series": {"t": [1, 2], "v": [value, 0.5]}})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def everything(store: Store) -> dict[str, bytes]:
    """Return every file below the store."""
    found = (p for p in store.root.rglob("*") if p.is_file())
    return {str(p.relative_to(store.root)): p.read_bytes() for p in found}


def test_what_is_put_is_there_and_nothing_else(store: Store) -> None:
    assert not store.has(ID)
    assert store.metrics(ID) is store.provenance(ID) is store.failure(ID) is None
    store.put(ID, outcome(), {"status": "done"})
    assert store.has(ID)
    assert not store.has(OTHER)
    assert store.finished() == {ID}
    assert store.metrics(ID) == {"value": 1.0, "word": "é"}
    assert store.provenance(ID) == {"status": "done"}
    assert pq.read_table(store.folder(ID) / "series.parquet").to_pydict() == {
        "t": [1, 2],
        "v": [1.0, 0.5],
    }
    assert {Path(p).name for p in everything(store)} == {
        "run.json",
        "metrics.json",
        "series.parquet",
    }


def test_the_same_outcome_is_the_same_bytes(store: Store, tmp_path: Path) -> None:
    twin = Store(tmp_path / "twin")
    for each in (store, twin):
        each.put(ID, outcome(), {"status": "done"})
    assert everything(store) == everything(twin)


def test_a_new_result_replaces_the_old_one_whole(store: Store) -> None:
    store.put(ID, outcome(1.0), {})
    store.put(ID, Outcome({"value": 2.0}), {"again": True})
    assert store.metrics(ID) == {"value": 2.0}
    assert {Path(p).name for p in everything(store)} == {"run.json", "metrics.json"}


def test_failures_count_attempts_never_satisfy_and_go_with_success(store: Store) -> None:
    for attempt in (1, 2, 3):
        store.put_failure(ID, {"reason": "no luck"})
        assert store.failure(ID) == {"reason": "no luck", "attempts": attempt}
    assert store.failures() == {ID}
    assert not store.has(ID)
    assert store.finished() == set()
    store.put(ID, outcome(), {})
    assert store.failures() == set()


@pytest.mark.parametrize(
    "bad",
    [
        Outcome({"value": float("nan")}),
        Outcome({"value": float("-inf")}),
        Outcome({"value": 1.0}, {"series": {"a": [1, 2], "b": [1]}}),
        Outcome({"value": 1.0}, {"series": {"a": [1, "x", {}]}}),
        Outcome({"value": object()}),  # type: ignore[dict-item]
    ],
)
def test_what_cannot_be_stored_leaves_the_old_result(store: Store, bad: Outcome) -> None:
    store.put(ID, outcome(), {})
    before = everything(store)
    with pytest.raises((ValueError, TypeError)):
        store.put(ID, bad, {})
    assert everything(store) == before


def failing(name: str, after: int, number: int) -> Callable[[pytest.MonkeyPatch], None]:
    """Make `os.<name>` fail with `number` after it did well `after` times."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        real, calls = getattr(os, name), iter(range(1000))

        def call(*arguments: Any, **options: Any) -> Any:
            if next(calls) == after:
                raise OSError(number, os.strerror(number))
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, call)

    return patch


STEPS = [("fsync", i, errno.ENOSPC) for i in range(4)]
STEPS += [("rename", 0, errno.ENOSPC), ("replace", 0, errno.EIO), ("mkdir", 0, errno.EROFS)]


@pytest.mark.parametrize(
    ("known", "step"),
    [*itertools.product([True, False], STEPS), (True, ("rename", 1, errno.ENOSPC))],
)
def test_a_full_or_broken_disk_leaves_what_was_there(
    store: Store, known: bool, step: tuple[str, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each flush, rename and folder of a put fails in turn: the old result stays, or none."""
    store.put(OTHER, outcome(), {})
    if known:
        store.put(ID, outcome(1.0), {})
    before = everything(store)
    with monkeypatch.context() as broken:
        failing(*step)(broken)
        with pytest.raises(OSError, match=r"space|error|Read-only"):
            store.put(ID, outcome(2.0), {})
    assert everything(store) == before
    assert store.has(ID) == known
    store.put(ID, outcome(2.0), {})
    assert store.metrics(ID) == {"value": 2.0, "word": "é"}


def test_a_place_that_is_no_folder_is_an_os_error_and_holds_no_runs(store: Store) -> None:
    store.root.mkdir()
    (store.root / "runs").write_text("in the way")
    assert not store.has(ID)
    assert store.finished() == set()
    assert store.sweep_leftovers() == 0
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        store.put(ID, outcome(), {})


def test_stray_files_in_the_store_do_no_harm(store: Store) -> None:
    store.put(ID, outcome(), {})
    (store.root / "runs" / "notes.txt").write_text("mine")
    assert store.finished() == {ID}
    assert store.sweep_leftovers() == 0


DIE_AT = """
import os, signal, sys
from pathlib import Path
from experiments.kinds.base import Outcome
from experiments.store import Store
name, count = sys.argv[2], int(sys.argv[3])
real, calls = getattr(os, name), [0]
def call(*a, **k):
    calls[0] += 1
    if calls[0] == count:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*a, **k)
setattr(os, name, call)
Store(Path(sys.argv[1])).put(sys.argv[4], Outcome({"value": 2.0, "word": "x"}), {"new": True})
"""


@pytest.mark.extensive
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("fsync", 1), ("fsync", 2), ("fsync", 3), ("replace", 1),
        ("rename", 1), ("rename", 2), ("fsync", 4),
    ],
)  # fmt: skip
def test_killed_between_any_two_steps_leaves_the_old_or_the_new_result(
    store: Store, name: str, count: int, known: bool
) -> None:
    if known:
        store.put(ID, outcome(1.0), {"new": False})
    command = [sys.executable, "-c", DIE_AT, str(store.root), name, str(count), ID]
    died = subprocess.run(command, cwd=Path(__file__).parents[2]).returncode == -9
    assert died or (name, count, known) == ("rename", 2, False)
    store.sweep_leftovers()
    metrics, made = store.metrics(ID), store.provenance(ID)
    if metrics is None:
        assert not known
        assert not store.has(ID)
    else:
        assert metrics["value"] == (2.0 if made == {"new": True} else 1.0)
    assert not [p for p in store.root.glob("runs/*/.*")]


def dead_pid() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def leftover(
    store: Store, pid: int, *, complete: bool, old: bool = False, start: str = "4711"
) -> Path:
    """Make what a writer with `pid` left beside the place of the run `ID`."""
    writer = Store(store.root.with_name("writer"))
    writer.put(ID, outcome(3.0), {})
    folder = writer.folder(ID)
    if not complete:
        (folder / "run.json").unlink()
    store.put(OTHER, outcome(), {})
    suffix = "-old" if old else ""
    path = store.folder(ID).with_name(f".{ID}.{_host_mark()}-{pid}-{start}-0badcafe{suffix}")
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(folder, path)
    return path


def test_a_complete_leftover_of_a_dead_writer_becomes_the_result(store: Store) -> None:
    path = leftover(store, dead_pid(), complete=True)
    assert not store.has(ID)
    assert store.sweep_leftovers() == 1
    assert store.metrics(ID) == {"value": 3.0, "word": "é"}
    assert not path.exists()


def test_a_new_result_is_preferred_to_the_old_one_that_stepped_aside(store: Store) -> None:
    pid = dead_pid()
    leftover(store, pid, complete=True, old=True)
    new = leftover(store, pid, complete=True)
    (new / "metrics.json").write_text('{"value": 4.0}')
    assert store.sweep_leftovers() == 2
    assert store.metrics(ID) == {"value": 4.0}


def test_half_a_leftover_of_a_dead_writer_goes(store: Store) -> None:
    path = leftover(store, dead_pid(), complete=False)
    assert store.sweep_leftovers() == 1
    assert not store.has(ID)
    assert not path.exists()


def test_a_leftover_never_replaces_a_result(store: Store) -> None:
    store.put(ID, outcome(1.0), {})
    leftover(store, dead_pid(), complete=True)
    store.sweep_leftovers()
    assert store.metrics(ID) == {"value": 1.0, "word": "é"}
    assert not list(store.folder(ID).parent.glob(".*"))


def test_what_a_live_writer_is_at_is_left_alone(store: Store) -> None:
    start = process_start(os.getpid())
    assert start is not None
    path = leftover(store, os.getpid(), complete=False, start=start)
    assert store.sweep_leftovers() == 0
    assert path.exists()


def test_a_pid_that_another_process_has_now_keeps_no_leftover(store: Store) -> None:
    path = leftover(store, os.getpid(), complete=False, start="4711")
    assert store.sweep_leftovers() == 1
    assert not path.exists()


def test_a_writer_that_nobody_waited_for_is_dead(store: Store) -> None:
    zombie = subprocess.Popen(["sleep", "60"])
    start = process_start(zombie.pid)
    assert start is not None
    zombie.kill()
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    path = leftover(store, zombie.pid, complete=False, start=start)
    try:
        assert store.sweep_leftovers() == 1
    finally:
        zombie.wait()
    assert not path.exists()


def test_a_writer_on_another_host_is_believed_for_a_while(store: Store) -> None:
    """Its pid says nothing here; only a folder that nobody touched for long is cleared."""
    path = leftover(store, dead_pid(), complete=False)
    there = path.rename(path.with_name(f".{ID}.0therone-4711-815-0badcafe"))
    assert store.sweep_leftovers() == 0
    os.utime(there, (0, 0))
    assert store.sweep_leftovers() == 1
    assert not there.exists()


def _put_often(root: Path, value: float, start: Any, failures: Any) -> None:
    store = Store(root)
    start.wait()
    for _ in range(60):
        try:
            store.put(ID, Outcome({"value": value, "twice": 2 * value}), {"by": value})
        except BaseException as error:
            failures.put(repr(error))
            raise


def test_concurrent_puts_of_one_run_all_succeed_and_leave_one_whole_result(store: Store) -> None:
    context = multiprocessing.get_context("forkserver")
    start, failures = context.Event(), context.Queue()
    writers = [
        context.Process(target=_put_often, args=(store.root, float(i), start, failures))
        for i in range(1, 4)
    ]
    for writer in writers:
        writer.start()
    start.set()
    for writer in writers:
        writer.join(60)
    assert [w.exitcode for w in writers] == [0, 0, 0], failures.get(timeout=1)
    metrics = store.metrics(ID) or {}
    assert metrics["twice"] == 2 * metrics["value"]
    assert store.provenance(ID) == {"by": metrics["value"]}
    store.sweep_leftovers()
    assert [p.name for p in store.folder(ID).parent.iterdir()] == [ID]


def test_atomic_write_keeps_the_old_file_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "deep" / "file"
    write_atomic(path, b"old")
    with monkeypatch.context() as broken:
        failing("fsync", 0, errno.ENOSPC)(broken)
        with pytest.raises(OSError, match="No space"):
            write_atomic(path, b"new")
    assert [p.read_bytes() for p in path.parent.iterdir()] == [b"old"]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"a": 1}x'])
def test_damaged_json_reads_as_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.json").write_bytes(data)
    assert read_json(tmp_path / "x.json") is None
    files.write_json(tmp_path / "x.json", {"b": 1, "a": [None]})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [None], "b": 1}
