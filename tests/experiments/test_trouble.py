"""What goes wrong around the runs ends in one clear message, and keeps nobody waiting."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from experiments.executors.local import LocalExecutor
from experiments.identity import RunSpec
from experiments.manifest import Limits
from experiments.worker import Task
from policies.registry import BrokenSourceError, Registry
from tests.experiments.harness import PLUGIN, ROOT, sweep


def test_results_that_cannot_be_written_are_bad_input(tmp_path: Path) -> None:
    mine = sweep(tmp_path)
    (tmp_path / "file").touch()
    done = mine.run(environment={"TRIPTYCH_RESULTS": str(tmp_path / "file")})
    assert done.returncode == 2
    assert "TRIPTYCH_RESULTS" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failure_that_cannot_be_recorded_is_still_reported(tmp_path: Path) -> None:
    """A disk that fails under the executor must not keep the session waiting."""
    (tmp_path / "results").touch()
    config = {"fault": "none", "index": 0, "policy": None, "seed": 0}
    spec = RunSpec("a" * 64, "faulty", config, {}, "mark", Limits())
    executor = LocalExecutor(workers=1)
    try:
        report = executor.submit(Task(spec, tmp_path / "results", (PLUGIN,))).result(timeout=60)
    finally:
        executor.stop()
    assert report.status == "failed"
    assert "not recorded" in report.reason


def test_an_overridden_sweep_leaves_the_experiments_own_figure(tmp_path: Path) -> None:
    mine = sweep(tmp_path)
    assert mine.run("--serial").returncode == 0
    figure = tmp_path / "build/figures/mine/sweep.svg"
    before = figure.stat().st_mtime_ns
    assert mine.run("--serial", "-s", "x=1.0,2.0").returncode == 0
    assert figure.stat().st_mtime_ns == before
    assert len(list(figure.parent.glob("sweep+*.svg"))) == 1


def test_the_printed_command_redoes_the_failed_run_alone(tmp_path: Path) -> None:
    mine = sweep(tmp_path, kind="faulty", base={"fault": "raise"})
    done = mine.run("--serial", "-s", "index=3,4")
    assert done.returncode == 1
    line = next(ln for ln in done.stdout.splitlines() if "alone: " in ln)
    words = line.split("alone: triptych ")[1].split()
    again = subprocess.run(
        [*mine.command()[:3], *words],
        env=mine.environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert again.returncode == 1
    assert again.stdout.count("RuntimeError: as asked") == 1


def test_only_is_refused_where_no_run_has_that_id(tmp_path: Path) -> None:
    done = sweep(tmp_path).run("--only", "nothex")
    assert done.returncode == 2
    assert "--only nothex" in done.stderr


def test_a_policy_file_that_is_not_python_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "toys").mkdir()
    broken = tmp_path / "toys/broken.py"
    broken.write_text('@register("x")\nclass X(:\n')
    monkeypatch.setattr("policies.registry.ROOT", tmp_path)
    with pytest.raises(BrokenSourceError, match=r"broken\.py.*line 2"):
        Registry("toys", "toy").names()
