"""A disk that is full, in fact: one clear message, nothing lost, and the same command goes on."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.experiments.harness import ROOT, Sweep, sweep
from tests.needs import need

pytestmark = [pytest.mark.root, pytest.mark.extensive]

FIELDS = {"axes": [{"grid": {"x": [float(value) for value in range(10)]}}], "seeds": 10}


def in_small_disk(mine: Sweep, kib: int) -> subprocess.CompletedProcess[str]:
    """Run the sweep twice with its results on a disk of `kib` KiB, larger the second time.

    The disk is in memory, and in a mount namespace that ends with the command.
    """
    disk = mine.home / "results"
    disk.mkdir()
    run = shlex.join(mine.command("--workers", "2"))
    script = f"""
        mount -t tmpfs -o size={kib}k triptych {shlex.quote(str(disk))} || exit 90
        {run}; echo "first: $?"; find {disk} -name run.json | wc -l
        mount -o remount,size=64m {shlex.quote(str(disk))} || exit 91
        {run}; echo "second: $?"; find {disk}/runs -name run.json | wc -l
        cp {disk}/tables/mine/sweep.quick.parquet {mine.home}/table.parquet
    """
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "bash", "-c", script],
        env=mine.environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.parametrize("kib", [40, 400])
def test_a_sweep_on_a_full_disk_goes_on_once_there_is_room(tmp_path: Path, kib: int) -> None:
    need("root")
    whole = sweep(tmp_path / "whole", **FIELDS)
    assert whole.run("--workers", "2").returncode == 0
    mine = sweep(tmp_path / "small", **FIELDS)
    done = in_small_disk(mine, kib)
    lines = done.stdout.splitlines()
    assert "first: 1" in lines, done.stderr
    assert "No space left on device" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    kept = int(lines[lines.index("first: 1") + 1])
    assert kept < 100
    assert "second: 0" in lines, done.stdout + done.stderr
    assert int(lines[lines.index("second: 0") + 1]) == 100
    assert (mine.home / "table.parquet").read_bytes() == whole.table()
    assert not os.listdir(mine.home / "results")
