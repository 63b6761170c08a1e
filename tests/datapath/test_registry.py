"""Who holds what: entries, stale ones, and that nobody else's process or file is touched."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from emu.datapath import machine, registry
from emu.datapath.problems import DatapathError
from experiments import cli
from experiments.paths import ROOT
from tests.needs import need_datapath

KILLED, LOADED = f"t{os.getpid()}_k", f"t{os.getpid()}_c"
"""Names hold for the whole machine, and another run of these tests may be at work on it."""
GENTLE = ROOT / "policies" / "congestion" / "rules" / "gentle.rule"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPTYCH_RUN", str(tmp_path))
    registry.state_root().mkdir()


@pytest.fixture
def sleeper() -> Any:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def write(name: str, **fields: Any) -> Path:
    path = registry.state_root() / f"{name}.json"
    path.write_text(json.dumps({"name": name, "what": "rule x", "since": 1.0, **fields}))
    return path


def test_an_entry_is_there_until_it_is_left() -> None:
    entry = registry.enter("tri_a", "rule a")
    assert registry.entries() == [entry]
    assert entry.lives
    assert (entry.pid, entry.name, entry.what) == (os.getpid(), "tri_a", "rule a")
    assert registry.reap() == []
    registry.leave(entry)
    assert registry.entries() == []


def test_an_ended_process_leaves_a_stale_entry(sleeper: Any) -> None:
    started = registry.start_of(sleeper.pid)
    path = write("tri_gone", pid=sleeper.pid, started=started)
    assert registry.reap() == []
    sleeper.kill()
    sleeper.wait()
    assert registry.start_of(sleeper.pid) is None
    assert registry.reap() == ["tri_gone"]
    assert not path.exists()


def test_a_number_given_anew_is_another_process(sleeper: Any) -> None:
    """An entry whose process number belongs to a later process ends nobody."""
    started = registry.start_of(sleeper.pid)
    assert started is not None
    write("tri_reused", pid=sleeper.pid, started=started - 1)
    with pytest.raises(DatapathError, match="no datapath 'tri_reused' is loaded by triptych"):
        registry.end("tri_reused")
    assert sleeper.poll() is None
    assert registry.entries() == []


def test_end_ends_the_process(sleeper: Any) -> None:
    path = write("tri_held", pid=sleeper.pid, started=registry.start_of(sleeper.pid))
    registry.end("tri_held")
    assert sleeper.wait(5) == -15
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "7", '{"name": "tri_bad"}', "\x00" * 10_000),
        '{"name": "tri_bad", "pid": "1e99", "started": 0, "what": "", "since": 0}',
        '{"name": "tri_bad", "pid": -1, "started": 0, "what": "", "since": 0}',
        '{"name": "tri_other", "pid": 1, "started": 0, "what": "", "since": 0}',
    ],
)
def test_a_damaged_file_is_no_entry_and_is_cleared(text: str) -> None:
    path = registry.state_root() / "tri_bad.json"
    path.write_text(text)
    half = registry.state_root() / "tri_half.999999999"
    half.write_text("{")
    assert registry.entries() == []
    with pytest.raises(DatapathError, match="no datapath 'tri_bad'"):
        registry.end("tri_bad")
    registry.reap()
    assert not path.exists()
    assert not half.exists()


@pytest.mark.parametrize("name", ["", "../x", "Tri", "a" * 16, "tri x", "x\n", "1a"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(DatapathError, match="a lower-case letter, then up to 14"):
        registry.end(name)


def start_holder(name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "emu.datapath.holder", str(GENTLE), name]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def vanished(name: str) -> bool:
    """Wait a little: whether the kernel has no congestion control of that name."""
    end = time.monotonic() + 3.0
    while name in machine.available() and time.monotonic() < end:
        time.sleep(0.01)
    return name not in machine.available()


@pytest.mark.root
@pytest.mark.extensive
def test_killed_at_any_moment_nothing_leaks() -> None:
    need_datapath()
    with start_holder(KILLED) as process:
        began = time.monotonic()
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["name"] == KILLED
        took_s = time.monotonic() - began
        assert KILLED in machine.available()
        process.kill()
    assert vanished(KILLED)
    assert registry.reap() == [KILLED]
    draws = random.Random(5)
    for _ in range(6):
        with start_holder(KILLED) as process:
            time.sleep(draws.uniform(0.5, 1.1) * took_s)
            process.kill()
        assert vanished(KILLED)
        registry.reap()
        assert registry.entries() == []


def triptych(*words: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from experiments.cli import main; sys.argv[0] = 'triptych'; main()"
    command = [sys.executable, "-c", code, "datapath", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.root
@pytest.mark.extensive
def test_load_list_unload_from_the_command_line() -> None:
    need_datapath()
    done = triptych("load", str(GENTLE), "--name", LOADED, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["name"] == LOADED
    try:
        assert LOADED in machine.available()
        listed = json.loads(triptych("list", "--json").stdout)["datapaths"]
        assert [(row["name"], row["what"]) for row in listed] == [(LOADED, "rule gentle")]
        again = triptych("load", str(GENTLE), "--name", LOADED)
        assert (again.returncode, again.stdout) == (2, "")
        assert again.stderr.splitlines() == [
            f"the name {LOADED!r} is taken; choose another with --name"
        ]
    finally:
        done = triptych("unload", LOADED)
    assert done.returncode == 0, done.stderr
    assert vanished(LOADED)
    assert triptych("unload", LOADED).returncode == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("build", "/none.rule"), "cannot read /none.rule"),
        (("build", "nobody"), "unknown congestion controller 'nobody'"),
        (("build", "cubic"), "has on_ack and on_loss"),
        (("build", "oracle"), "oracle"),
        (("build", str(GENTLE), "-p", "delta=9"), "delta must be in"),
        (("build", str(GENTLE), "-p", "delta"), "write name=number"),
        (("build", str(GENTLE), "-p", "deltta=1"), "no parameter 'deltta'"),
        (("build", str(GENTLE), "--name", "Too Long And Wrong"), "a lower-case letter"),
        (("unload",), "say either the name of a datapath or --stale"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    words: Any, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["triptych", "datapath", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("words", [(), ("build",), ("load",), ("unload",), ("list",), ("soak",)])
def test_help_teaches(
    words: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["triptych", "datapath", *words, "--help"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    told = capsys.readouterr().out
    assert len(told.splitlines()) > 5
    assert words or "triptych datapath load" in " ".join(told.split())
