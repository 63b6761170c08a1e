"""Asking for priority never fails, and never changes a session that is not the asker's own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from experiments.paths import ROOT
from tuning.profile.priority import NICE, preferred

ASK = (
    "import os\n"
    "from pathlib import Path\n"
    "from tuning.profile.priority import ask_for_priority\n"
    "group = Path('/proc/self/autogroup')\n"
    "def told():\n"
    "    return group.read_text() if group.exists() else ''\n"
    "def nice():\n"
    "    return os.getpriority(os.PRIO_PROCESS, 0)\n"
    "before, nice_before = told(), nice()\n"
    "ask_for_priority()\n"
    "print(int(before != told()), nice_before, nice())\n"
)


@pytest.mark.parametrize("own_session", [True, False])
def test_asking_ends_well(own_session):
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        start_new_session=own_session,
    )
    assert done.returncode == 0, done.stderr
    changed, nice_before, nice = map(int, done.stdout.split())
    assert nice in (NICE, nice_before)
    assert own_session or not changed


def _priorities() -> set[int]:
    tasks = Path("/proc/self/task").iterdir()
    return {os.getpriority(os.PRIO_PROCESS, int(task.name)) for task in tasks}


def test_all_threads_are_preferred_for_a_while_and_no_longer() -> None:
    """Pools that ran before and threads that start meanwhile; a fault ends it as well."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    leave = threading.Event()
    others = [threading.Thread(target=leave.wait) for _ in range(2)]
    others[0].start()
    try:
        with contextlib.suppress(KeyError), preferred():
            others[1].start()
            inside = _priorities()
            raise KeyError
        assert inside in ({min(before, NICE)}, {before})
        assert _priorities() == {before}
    finally:
        leave.set()
        for other in others:
            other.join()
