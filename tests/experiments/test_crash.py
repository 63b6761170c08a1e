"""Killed at any moment, a sweep loses nothing and repeats nothing that had finished."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.experiments.harness import Sweep, sweep

pytestmark = pytest.mark.extensive

FIELDS = {"base": {"seconds": 0.01}, "axes": [{"grid": {"x": [1.0, 2.0, 3.0, 4.0]}}], "seeds": 50}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The table of the 200-run sweep that nobody disturbed."""
    whole = sweep(tmp_path_factory.mktemp("whole"), **FIELDS)
    done = whole.run("--workers", "2")
    assert done.returncode == 0, done.stderr
    assert whole.finished() == 200
    return whole.table()


@pytest.mark.parametrize("draw", range(4))
def test_killed_sweep_resumes_to_the_same_bytes(
    tmp_path: Path, uninterrupted: bytes, draw: int
) -> None:
    """Kill -9 of the command, of all its processes, or of one worker, at random moments."""
    luck = random.Random(draw)
    broken = sweep(tmp_path, **FIELDS)
    kills = 0
    while broken.finished() < 200 and kills < 6:
        before = stamps(broken)
        kill_at_random(broken, luck)
        kills += 1
        assert before.items() <= stamps(broken).items(), "a finished run was lost or repeated"
    before = stamps(broken)
    done = broken.run("--workers", "2")
    assert done.returncode == 0, done.stderr
    assert kills >= 2
    assert broken.finished() == 200
    assert before.items() <= stamps(broken).items()
    assert broken.table() == uninterrupted
    assert leftovers(broken) == []


def test_interrupt_leaves_a_resumable_state(tmp_path: Path, uninterrupted: bytes) -> None:
    """Ctrl-C ends with code 130 and no process left; the same command goes on."""
    broken = sweep(tmp_path, **FIELDS)
    process = broken.start("--workers", "2")
    wait_for(lambda: broken.finished() >= 20)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=30) == 130
    wait_for(lambda: not alive_in_session(process.pid))
    assert 20 <= broken.finished() < 200
    assert broken.run().returncode == 0
    assert broken.table() == uninterrupted


def test_a_run_in_hand_does_not_outlive_the_command(tmp_path: Path) -> None:
    """Kill -9 of the command alone ends its fork server and a run that hangs with it."""
    long = sweep(tmp_path, kind="faulty", base={"fault": "hang"}, seeds=2)
    process = long.start("--workers", "2")
    wait_for(lambda: sum(map(is_worker, alive_in_session(process.pid))) == 2)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    wait_for(lambda: not alive_in_session(process.pid), seconds=10.0)


def test_two_commands_at_once_share_the_work(tmp_path: Path, uninterrupted: bytes) -> None:
    """Two commands on one store compute each run once, and both end with the whole table."""
    both = sweep(tmp_path, **FIELDS)
    first, second = both.start("--workers", "1"), both.start("--workers", "1")
    assert first.wait(timeout=120) == 0
    assert second.wait(timeout=120) == 0
    assert both.finished() == 200
    assert both.table() == uninterrupted


def kill_at_random(broken: Sweep, luck: random.Random) -> None:
    process = broken.start("--workers", "2")
    goal = broken.finished() + luck.randrange(1, 60)
    wait_for(lambda: broken.finished() >= goal or process.poll() is not None)
    time.sleep(luck.random() * 0.1)
    victim = luck.choice(["command", "everything", "worker"])
    if victim == "worker":
        workers = [p for p in alive_in_session(process.pid) if is_worker(p)]
        if workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                luck.choice(workers).kill()
        time.sleep(0.3)
    with contextlib.suppress(ProcessLookupError):
        if victim == "everything":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    wait_for(lambda: not alive_in_session(process.pid))


def is_worker(process: psutil.Process) -> bool:
    """Say whether the process descends from the fork server (its parent is not the command)."""
    with contextlib.suppress(psutil.Error):
        parent = process.parent()
        return parent is not None and "forkserver" in " ".join(parent.cmdline())
    return False


def alive_in_session(session: int) -> list[psutil.Process]:
    """Return the living processes of a session, the command's own included."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def stamps(broken: Sweep) -> dict[str, int]:
    """Return when each finished run was stored; a repeated run would change it."""
    return {path.parent.name: path.stat().st_mtime_ns for path in broken.finished_files()}


def leftovers(broken: Sweep) -> list[str]:
    """Return what is not a finished run in the store of runs."""
    names = [path.name for path in (broken.home / "results/runs").glob("*/*")]
    return [name for name in names if name.startswith(".")]


def wait_for(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)
