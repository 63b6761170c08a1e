"""The same sweep on a Dask cluster whose workers are killed, and joined by others, on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import distributed
import pytest

from tests.experiments.harness import ROOT, Sweep, sweep

pytestmark = pytest.mark.extensive

THOUSAND = {
    "base": {"seconds": 0.02},
    "axes": [{"grid": {"x": [float(value) for value in range(10)]}}],
    "seeds": 100,
}


def cluster_of(workers: int) -> distributed.LocalCluster:
    return distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    )


def wait_until_finished(sweep: Sweep, runs: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 240
    while sweep.finished() < runs and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)


def kill_one(cluster: distributed.LocalCluster) -> None:
    os.kill(next(iter(cluster.workers.values())).process.pid, signal.SIGKILL)


def start_on(cluster: distributed.LocalCluster, there: Sweep) -> subprocess.Popen[bytes]:
    command = there.command("--cluster", cluster.scheduler_address)
    return subprocess.Popen(command, env=there.environment(), cwd=ROOT, stdout=subprocess.DEVNULL)


def test_a_thousand_runs_on_workers_that_die_and_join(tmp_path: Path) -> None:
    here = sweep(tmp_path / "here", **THOUSAND)
    assert here.run("--workers", "2").returncode == 0
    there = sweep(tmp_path / "there", **THOUSAND)
    with cluster_of(3) as cluster:
        process = start_on(cluster, there)
        wait_until_finished(there, 100, process)
        kill_one(cluster)
        wait_until_finished(there, 300, process)
        cluster.scale(4)
        wait_until_finished(there, 500, process)
        kill_one(cluster)
        assert process.poll() is None  # or nothing was tried
        assert process.wait(timeout=240) == 0
    assert there.finished() == 1000
    assert there.table() == here.table()


def test_no_scheduler_is_one_clear_message(tmp_path: Path) -> None:
    alone = sweep(tmp_path)
    done = alone.run("--cluster", "tcp://127.0.0.1:1")
    assert done.returncode == 2
    assert "--cluster" in done.stderr
    assert "Traceback" not in done.stderr
