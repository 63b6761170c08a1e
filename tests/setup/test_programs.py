"""The table of external programs is complete, and calls to them are bounded and clear."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from experiments.paths import PACKAGES, ROOT
from experiments.setup import SetupError, packages, programs
from experiments.setup.programs import run_program
from tests.setup import calls


@pytest.fixture
def no_programs(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(packages, "SBIN", "")


def _script(folder: Path, text: str) -> str:
    path = folder / "script"
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_table_is_complete_and_has_no_idle_row():
    called = calls.called_by_project(ROOT, (*PACKAGES, "tests"))
    absent = {name: sorted(files) for name, files in called.items() if name not in TABLE}
    assert not absent, "add to experiments/setup/packages.py"
    libraries = {row.name for row in packages.PROGRAMS.values() if row.marker}
    assert not TABLE - libraries - set(called), (
        "rows of experiments/setup/packages.py that nothing calls"
    )


TABLE = set(packages.PROGRAMS)


def test_scan_finds_every_way_of_calling():
    source = """
import subprocess, shutil, os
command = ["ip", "link"]
subprocess.run(command)
for each in (["ss", "-n"], ["lsof"]):
    subprocess.run(each)
run_program(["tc", "qdisc"], timeout_s=1)
programs.run_program(("iw",), timeout_s=1)
subprocess.Popen(args=["ping"])
shutil.which("gdb")
os.execvp("sudo", [])
subprocess.run([sys.executable, "-V"])
subprocess.run(["/own/thing"])
"""
    called = calls.called_in_python(source)
    assert called == {"ip", "ss", "lsof", "tc", "iw", "ping", "gdb", "sudo"}


def test_scan_reads_shell():
    text = "A=1 make x && cd y; .venv/bin/tool 'rm; z' || { exit 1; }\nif [ -d q ]; then curl r; fi"
    assert calls.called_in_shell(text) == {"make", "curl"}


def test_every_row_has_a_remedy():
    assert all(row.remedy and row.purpose for row in packages.PROGRAMS.values())


def test_output_and_input():
    done = run_program(["python3", "-c", "print(input())"], timeout_s=20, stdin="hello\n")
    assert (done.returncode, done.stdout) == (0, "hello\n")


def test_failure_names_program_code_and_last_line(tmp_path):
    script = _script(tmp_path, "echo first >&2; echo last words >&2; exit 3")
    with pytest.raises(programs.ProgramFailedError, match=r"exit code 3: last words$") as caught:
        run_program([script], timeout_s=10)
    assert caught.value.returncode == 3
    assert run_program([script], timeout_s=10, check=False).returncode == 3


def test_timeout_ends_children_too(tmp_path):
    script = _script(
        tmp_path, f"(sleep 30; touch {tmp_path}/late) & echo $! > {tmp_path}/pid; wait"
    )
    begin = time.monotonic()
    with pytest.raises(programs.ProgramTimeoutError, match=r"longer than 0\.5 s"):
        run_program([script], timeout_s=0.5)
    assert time.monotonic() - begin < 5
    status = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/status")
    time.sleep(0.2)
    assert not status.exists() or "State:\tZ" in status.read_text()


@pytest.mark.usefixtures("no_programs")
def test_missing_program_names_the_debian_package():
    with pytest.raises(programs.ProgramMissingError, match="apt-get install iproute2"):
        run_program(["tc"], timeout_s=1)
    with pytest.raises(programs.ProgramMissingError, match=r"'no-such-thing' not found$"):
        run_program(["-".join(["no", "such", "thing"])], timeout_s=1)


@pytest.mark.usefixtures("no_programs")
def test_ensure_says_in_one_line_what_is_left_out(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    lines = packages.ensure_programs(["chromium", "chromedriver"])
    assert lines == [
        "left out for lack of chromium, chromedriver (not root): tests of the report in a browser."
        " Remedy: apt-get install chromium chromium-driver"
    ]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "no apt-get here" in packages.ensure_programs(["tc"])[0]
    assert packages.ensure_programs(["julia"]) == [
        "left out for lack of julia (no Debian package): symbolic regression by PySR."
        " Remedy: install Julia 1.10 from julialang.org"
    ]


def test_ensure_does_nothing_when_nothing_is_missing(monkeypatch):
    monkeypatch.setattr(packages, "apt_install", lambda wanted: pytest.fail("called apt"))
    assert packages.ensure_programs(["python3", "make"]) == []


def test_unknown_name_is_refused():
    with pytest.raises(SetupError, match="no such program in the table: emacs"):
        packages.ensure_programs(["emacs"])
