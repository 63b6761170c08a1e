"""What the machine has: the promised names, no exceptions, bounded time, a cache that notices."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from experiments.doctor import (
    CAPABILITY_NAMES,
    capabilities,
    capability,
    display,
    probes,
    survey,
)
from experiments.setup import packages
from experiments.setup.programs import run_program

NAMES = [
    *("root", "netns", "mininet", "netem", "bpf", "clang", "bpftool", "iperf3"),
    *("tvm", "torch", "vllm", "nvcc", "gpu", "julia", "browser", "ns3", "cc", "realtime"),
    *("struct_ops", "cubic", "bbr", "reno", "cutlass"),
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def counted(monkeypatch):
    calls = []
    monkeypatch.setattr(probes, "PROBES", {n: lambda n=n: calls.append(n) or "1.0" for n in NAMES})
    return calls


def test_names_are_those_promised():
    assert list(CAPABILITY_NAMES) == list(probes.PROBES) == NAMES


def test_every_row_says_what_it_affects_and_how_to_have_it():
    for row in capabilities():
        assert row.affects, row.name
        assert row.fix, row.name
        assert "\n" not in row.fix
        assert row.present or row.version == ""


def test_json_is_the_promised_shape():
    data = json.loads(display.as_json(capabilities()))
    assert data["schema"] == 1
    assert [row["name"] for row in data["capabilities"]] == NAMES
    for row in data["capabilities"]:
        assert list(row) == ["name", "present", "version", "affects", "fix"]
        assert isinstance(row["present"], bool)


def test_table_has_one_line_for_each_lack(capsys, monkeypatch):
    monkeypatch.setattr(probes, "PROBES", dict.fromkeys(NAMES, lambda: None))
    display.show()
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("no ")]
    assert [line.split(":")[0].removeprefix("no ") for line in lines] == NAMES
    assert "cores" in out


@pytest.mark.parametrize(
    ("lacking", "line"),
    [
        ((), "networks with links by netem, or our link relay in C"),
        (("netem",), "networks with links by our link relay in C (the kernel has no netem)"),
        (
            ("cc", "netem", "realtime"),
            "networks with links by our link relay in Python (the kernel has no netem); without "
            "real-time priority, late on a busy machine",
        ),
        (("root", "netns", "cc"), "nothing, for lack of root, netns"),
    ],
)
def test_what_can_be_emulated_is_said_in_one_line(lacking, line):
    rows = [survey.Capability(name, name not in lacking, "", ("x",), "y") for name in NAMES]
    assert display.emulation_line(rows) == line


@pytest.mark.parametrize(
    ("lacking", "line"),
    [
        (
            (),
            "the kernel's CUBIC, BBR, Reno; rules in the kernel's datapath, other controllers by an"
            " agent",
        ),
        (
            ("bbr", "struct_ops"),
            "the kernel's CUBIC, Reno; no rules or agents in the datapath, for lack of struct_ops",
        ),
        (
            ("cubic", "bbr", "reno", "clang", "root"),
            "none of the kernel's; no rules or agents in the datapath, for lack of root, clang",
        ),
    ],
)
def test_whose_flows_can_be_emulated_is_said_in_one_line(lacking, line):
    rows = [survey.Capability(name, name not in lacking, "", ("x",), "y") for name in NAMES]
    assert display.senders_line(rows) == line


@pytest.mark.parametrize(
    ("release", "text", "found"),
    [
        ("6.18.1-x", b"\0bpf_struct_ops_tcp_congestion_ops\0", True),
        ("6.9.1", b"\0bpf_struct_ops_tcp_congestion_ops\0", False),
        ("7.0.0", b"\0tcp_congestion_ops\0", False),
        ("next", b"\0bpf_struct_ops_tcp_congestion_ops\0", False),
    ],
)
def test_a_kernel_that_takes_congestion_controls(release, text, found, monkeypatch):
    monkeypatch.setattr(probes.platform, "release", lambda: release)
    monkeypatch.setattr(probes.Path, "read_bytes", lambda path: text)
    assert survey.probe("struct_ops").present == found


def test_the_kernel_s_own_congestion_controls_are_read(tmp_path, monkeypatch):
    listed = tmp_path / "available"
    listed.write_text("reno bbr2 tri_cubic\n", encoding="ascii")
    monkeypatch.setattr(probes, "_AVAILABLE", listed)
    here = {name: survey.probe(name).present for name in ("cubic", "bbr", "reno")}
    assert here == {"cubic": False, "bbr": False, "reno": True}


def test_probe_that_raises_or_hangs_in_a_program_is_a_lack(monkeypatch):
    monkeypatch.setitem(probes.PROBES, "ns3", lambda: 1 // 0)
    hang = [sys.executable, "-c", "import time; time.sleep(30)"]
    monkeypatch.setitem(probes.PROBES, "julia", lambda: run_program(hang, timeout_s=0.2))
    begin = time.monotonic()
    assert not survey.probe("ns3").present
    assert not survey.probe("julia").present
    assert time.monotonic() - begin < 3


def test_cache_is_used_until_it_is_old_or_something_is_installed(counted, monkeypatch):
    capabilities()
    capabilities()
    assert capability("tvm").version == "1.0"
    assert len(counted) == len(NAMES)
    capabilities(fresh=True)
    assert len(counted) == 2 * len(NAMES)
    monkeypatch.setenv("PATH", os.environ["PATH"] + ":/somewhere/else")
    capabilities()
    assert len(counted) == 3 * len(NAMES)
    later = time.time() + survey.CACHE_SECONDS + 1
    monkeypatch.setattr(survey.time, "time", lambda: later)
    capabilities()
    assert len(counted) == 4 * len(NAMES)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": 1, "time": "x", "rows": 3}', "\0"])
def test_damaged_cache_is_no_cache(counted, text):
    capabilities()
    survey._cache_file().write_text(text, encoding="utf-8")
    assert all(row.present for row in capabilities())
    assert len(counted) == 2 * len(NAMES)


def test_unwritable_cache_is_no_obstacle(counted, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "file" / "cache"))
    assert len(capabilities()) == len(NAMES)


def test_machine_without_programs(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(packages, "SBIN", "")
    rows = {row.name: row for row in capabilities()}
    for name in ("netns", "mininet", "netem", "clang", "bpftool", "iperf3", "nvcc", "cc"):
        assert not rows[name].present, name


def test_empty_path_from_outside(tmp_path):
    env = {"PATH": "", "TRIPTYCH_CACHE": str(tmp_path / "c"), "PYTHONPATH": os.getcwd()}
    code = "from experiments.doctor import show; show(json=True)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["capabilities"]) == len(NAMES)


def test_root_is_what_the_kernel_says():
    assert capability("root").present == (os.geteuid() == 0)


def test_nothing_heavy_is_imported_to_look_for_it():
    code = (
        "import sys; from experiments.doctor import capabilities; capabilities(fresh=True);"
        "print([m for m in ('torch', 'tvm', 'vllm', 'pandas', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_of_programs_in_the_fixes_are_debian_packages():
    fixes = {row.name: row.fix for row in capabilities()}
    assert fixes["mininet"] == "apt-get install mininet"
    assert fixes["browser"] == "apt-get install chromium chromium-driver"
