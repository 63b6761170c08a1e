"""The same sweep on a Dask cluster of two workers, one of which is killed on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import distributed
import pytest

from tests.experiments.harness import ROOT, sweep

pytestmark = pytest.mark.extensive

FIELDS = {"base": {"seconds": 0.2}, "axes": [{"grid": {"x": [1.0, 2.0, 3.0]}}], "seeds": 20}


def test_cluster_survives_a_killed_worker_and_gives_the_same_bytes(tmp_path: Path) -> None:
    here = sweep(tmp_path / "here", **FIELDS)
    assert here.run("--workers", "2").returncode == 0
    there = sweep(tmp_path / "there", **FIELDS)
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    )
    with cluster:
        command = there.command("--cluster", cluster.scheduler_address)
        process = subprocess.Popen(
            command, env=there.environment(), cwd=ROOT, stdout=subprocess.DEVNULL
        )
        end = time.monotonic() + 120
        while there.finished() < 8 and time.monotonic() < end:
            time.sleep(0.05)
        victim = next(iter(cluster.workers.values())).process.pid
        os.kill(victim, signal.SIGKILL)
        assert process.wait(timeout=180) == 0
    assert there.finished() == 60
    assert there.table() == here.table()


def test_no_scheduler_is_one_clear_message(tmp_path: Path) -> None:
    alone = sweep(tmp_path, **FIELDS)
    done = alone.run("--cluster", "tcp://127.0.0.1:1")
    assert done.returncode == 2
    assert "--cluster" in done.stderr
    assert "Traceback" not in done.stderr
