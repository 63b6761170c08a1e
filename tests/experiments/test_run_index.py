"""The index of finished runs: a cache that is never believed against the runs themselves."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from experiments.kinds.base import Outcome
from experiments.run_index import RunIndex
from experiments.store import Store

IDS = [f"{i:02x}" * 32 for i in range(3)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def put(store: Store, run_id: str, code: str) -> None:
    store.put(run_id, Outcome({"value": 1.0}), {"fingerprint": code})


def test_finished_runs_and_by_what_code(store: Store) -> None:
    assert RunIndex(store).fingerprints(IDS) == {}
    put(store, IDS[0], "one")
    put(store, IDS[2], "two")
    store.put_failure(IDS[1], {"reason": "x"})
    for _ in range(2):  # from the runs, then from the index
        assert RunIndex(store).fingerprints(IDS) == {IDS[0]: "one", IDS[2]: "two"}
    assert RunIndex(store).fingerprints(IDS[2:]) == {IDS[2]: "two"}


def test_a_replaced_or_removed_run_is_noticed(store: Store) -> None:
    index = RunIndex(store)
    put(store, IDS[0], "one")
    assert index.fingerprints(IDS) == {IDS[0]: "one"}
    put(store, IDS[0], "two")
    assert index.fingerprints(IDS) == RunIndex(store).fingerprints(IDS) == {IDS[0]: "two"}
    shutil.rmtree(store.folder(IDS[0]))
    assert index.fingerprints(IDS) == RunIndex(store).fingerprints(IDS) == {}


def test_known_runs_are_not_read_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for run_id in IDS:
        put(store, run_id, "one")
    RunIndex(store).fingerprints(IDS)
    monkeypatch.setattr(store, "provenance", lambda run_id: pytest.fail("read again"))
    assert len(RunIndex(store).fingerprints(IDS)) == 3


@pytest.mark.parametrize(
    "damage", [b"", b"[1]", b"{", b'{"%s": 5}', b'{"%s": []}', b'{"%s": [1]}', b'{"%s": [1, 2]}']
)
def test_a_damaged_index_is_made_again(store: Store, damage: bytes) -> None:
    put(store, IDS[0], "one")
    stamp = os.stat(store.folder(IDS[0]) / "run.json").st_mtime_ns
    text = damage.replace(b"%s", IDS[0].encode()).replace(b"[1]", b"[%d]" % stamp)
    (store.root / "index.json").write_bytes(text)
    assert RunIndex(store).fingerprints(IDS) == {IDS[0]: "one"}
    assert IDS[0] in json.loads((store.root / "index.json").read_text())


def test_a_disk_that_takes_no_index_loses_only_speed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, IDS[0], "one")

    def refuse(*_: object) -> None:
        raise OSError("read-only")

    monkeypatch.setattr("experiments.run_index.write_json", refuse)
    assert RunIndex(store).fingerprints(IDS) == {IDS[0]: "one"}
