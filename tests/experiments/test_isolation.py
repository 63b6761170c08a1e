"""A crash, hang or memory blow-up of one run never harms another, and is reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.store import Store
from tests.experiments.harness import sweep

pytestmark = pytest.mark.extensive


def test_sixty_runs_of_which_six_misbehave(tmp_path: Path) -> None:
    """3 runs kill themselves, 2 hang, 1 eats memory: 54 finish, 6 are reported and why."""
    bad = [(5, "die"), (6, "die"), (40, "die"), (7, "hang"), (30, "hang"), (20, "grow")]
    faults = {index: fault for index, fault in bad}
    points = [{"index": i, "fault": faults.get(i, "none")} for i in range(60)]
    unruly = sweep(
        tmp_path,
        kind="faulty",
        axes=[{"list": points}],
        limits={"timeout_s": 4.0, "memory_mib": 700},
    )
    done = unruly.run("--workers", "2", "--json")
    assert done.returncode == 1, done.stderr
    reasons = json.loads(done.stdout)["failed"]
    assert len(reasons) == 6
    assert unruly.finished() == 54
    store = Store(unruly.home / "results")
    how = {}
    for run_id in reasons:
        record = store.failure(run_id)
        assert record is not None
        how[record["config"]["index"]] = record["how"]
    expected = {"die": "killed", "hang": "timeout", "grow": "memory"}
    assert how == {index: expected[fault] for index, fault in bad}


def test_failures_are_kept_with_their_traceback_and_never_count_as_results(tmp_path: Path) -> None:
    """A run that raises, or whose metric is NaN, is tried again by the next command."""
    points = [{"index": 0, "fault": "raise"}, {"index": 1, "fault": "nan"}, {"index": 2}]
    unruly = sweep(tmp_path, kind="faulty", axes=[{"list": points}])
    for attempts in (1, 2):
        done = unruly.run("--workers", "2")
        assert done.returncode == 1
        assert "RuntimeError: as asked" in done.stdout
        assert "--only" in done.stdout
        assert unruly.finished() == 1
        store = Store(unruly.home / "results")
        records = [store.failure(run_id) or {} for run_id in sorted(store.failures())]
        assert [r["attempts"] for r in records] == [attempts, attempts]
        assert any("_eat" not in r["traceback"] and "in run" in r["traceback"] for r in records)
