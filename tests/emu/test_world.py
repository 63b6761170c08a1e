"""Private worlds: answers, problems, and that nothing of them is left, whoever dies how."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest

from emu.problems import EmulationError
from emu.world import inside, run_private
from experiments.paths import ROOT
from tests.needs import need_emulation

WORLDS = "tests.emu.worlds"
LIVE = [pytest.mark.root, pytest.mark.extensive]


def test_without_root_it_says_so(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(EmulationError, match=r"^emulation needs root .*; run as root$"):
        run_private(f"{WORLDS}:chatty", None, timeout_s=10)


def test_without_its_programs_it_names_the_package(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        EmulationError, match=r"needs setpriv and unshare: apt-get install util-linux"
    ):
        run_private(f"{WORLDS}:chatty", None, timeout_s=10)


class TestLive:
    pytestmark = LIVE

    @pytest.fixture(autouse=True)
    def emulation(self):
        need_emulation()

    def test_notes_and_answer_come_through_whatever_is_printed(self):
        notes = []
        pid = run_private(f"{WORLDS}:chatty", {"a": [1]}, timeout_s=60, on_note=notes.append)
        assert notes == [{"asked": {"a": [1]}}]
        assert pid == 1  # of processes of its own

    def test_crash_is_told_by_its_last_words(self):
        with pytest.raises(
            EmulationError, match=r"crashes ended without an answer: the last words"
        ):
            run_private(f"{WORLDS}:crashes", None, timeout_s=60)

    def test_problem_inside_is_a_problem_outside(self):
        with pytest.raises(
            EmulationError, match=r"^shaper must be one of auto, .* got 'nonsense'$"
        ):
            run_private(f"{WORLDS}:built", "nonsense", timeout_s=60)

    def test_time_out_ends_all(self, marker):
        before = outside()
        begin = time.monotonic()
        with pytest.raises(EmulationError, match=r"busy took longer than 2 s and was ended"):
            run_private(f"{WORLDS}:busy", None, timeout_s=2)
        assert time.monotonic() - begin < 20
        assert left_of(marker, 0.0) == []
        assert outside() == before

    def test_interrupted_by_what_a_note_raises_ends_all(self, marker):
        def interrupt(note: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_private(f"{WORLDS}:busy", None, timeout_s=60, on_note=interrupt)
        assert left_of(marker, 0.0) == []

    def test_killed_at_any_moment_it_leaves_nothing(self, marker):
        before = outside()
        luck = random.Random(5)
        for late in (0.05, 0.3, *(luck.uniform(0.05, 2.0) for _ in range(4)), None):
            with started_busy() as process:
                if late is None:  # once for sure when all is up
                    assert process.stdout is not None
                    assert process.stdout.readline() == "built\n"
                    running = _marked(marker)
                    assert sum("sleep 1000" in command for command in running) == 2
                    assert any("rate_bps" in command for command in running)
                else:
                    time.sleep(late)
                process.send_signal(signal.SIGKILL)
                process.wait()
                assert left_of(marker, 20.0) == []
        assert outside() == before


def started_busy() -> subprocess.Popen[str]:
    """Start a process that runs a busy world."""
    code = (
        "import functools\nfrom emu.world import run_private\n"
        f"run_private('{WORLDS}:busy', None, timeout_s=60, "
        "on_note=functools.partial(print, flush=True))"
    )
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def marker(monkeypatch, tmp_path):
    """A variable that all descendants of this test inherit, and a folder of temporary files."""
    value = uuid.uuid4().hex
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TRIPTYCH_TEST_MARKER", value)
    return value


def left_of(marker: str, patience_s: float) -> list[str]:
    """Return the command lines of processes that carry the marker, once none or after a while."""
    deadline = time.monotonic() + patience_s
    while (found := _marked(marker)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _marked(marker: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:  # it has just ended, or is a zombie
            continue
    return found


def outside() -> dict[str, object]:
    """Return what a world must not change."""
    netns = Path("/run/netns")
    return {
        "interfaces": Path("/proc/net/dev").read_text().count("\n"),
        "mounts": Path("/proc/self/mounts").read_text(),
        "named namespaces": sorted(os.listdir(netns)) if netns.is_dir() else [],
        "temporary files": sorted(path.name for path in Path(tempfile.gettempdir()).glob("*")),
        "forwarding": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        "folder": sorted(path.name for path in inside.folder().glob("*")),
    }
