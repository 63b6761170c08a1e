"""The relay's command line: there and back, and one clear line for whatever is wrong."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.problems import EmulationError
from emu.relay import build, process
from emu.relay.arguments import Direction, Options, check, parse, words
from experiments.paths import ROOT
from experiments.setup import packages
from sim.net.links import CoDel, Constant, DropTail, Link
from sim.net.problems import ScenarioError
from tests.emu.arrivals import MS, links
from tests.needs import need

GOOD = ["rate_bps=1000000", "delay_ns=5", "queue_packets=3", "seed=1"]


@given(st.lists(links(), min_size=1, max_size=3), st.integers(0, 2**64 - 1), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_words_are_read_as_they_were_meant(several, seed, spin_ns):
    directions = [Direction(x, seed, f"e{i}", f"o-{i}") for i, x in enumerate(several)]
    options = Options(spin_ns, realtime=False, sample_ns=MS, samples="/a/b")
    with tempfile.TemporaryDirectory() as folder:
        mode, options_read, read = parse(words("run", options, directions, Path(folder)))
    assert (mode, options_read) == ("run", options)
    for before, after in zip(directions, read, strict=True):
        assert after.seed == before.seed
        assert (after.enters, after.leaves) == (before.enters, before.leaves)
        for field in ("delay_ns", "queue"):
            assert getattr(after.link, field) == getattr(before.link, field)
        assert after.link.capacity == before.link.capacity
        lossless = (None, 0.0)
        both = (before.link.loss, after.link.loss)
        assert both[0] == both[1] or all(getattr(x, "p", None) in lossless for x in both)


BAD = [
    ([], r"relay: options: the first word must be run or replay"),
    (["fly"], r"relay: options: the first word must be run or replay"),
    (["replay"], r"options: needs at least one link"),
    (["replay", "spin_ns=-1", "link", *GOOD], r"options: spin_ns must be an integer of 0 to 10000"),
    (["replay", "colour=red", "link", *GOOD], r"options: no such option: colour"),
    (["replay", "link"], r"link 1: needs one capacity: rate_bps, steps or opportunities"),
    (["replay", "link", *GOOD, "link", *GOOD], r"link 2: a replay has one link"),
    (["replay", "link", "rate_bps"], r"link 1: 'rate_bps' is not of the form option=value"),
    (["replay", "link", "rate_bps=1e6"], r"link 1: rate_bps must be an integer of 1 to .*'1e6'"),
    (["replay", "link", "rate_bps=0"], r"rate_bps must be an integer of 1 to 100000000000, got"),
    (["replay", "link", "rate_bps=99999999999999999999999"], r"rate_bps must be an integer of"),
    (["replay", "link", "rate_bps=nan"], r"rate_bps must be an integer of .* got 'nan'"),
    (["replay", "link", *GOOD, "delay_ns="], r"delay_ns must be an integer of 0 to 10+, got ''"),
    (
        ["replay", "link", *GOOD, "loss=bernoulli", "p=nan"],
        r"p must be a number of 0 to 1, got 'nan",
    ),
    (
        ["replay", "link", *GOOD, "loss=bernoulli", "p=1.5"],
        r"p must be a number of 0 to 1, got '1.5",
    ),
    (["replay", "link", *GOOD, "loss=often"], r"loss must be bernoulli or gilbert, got 'often'"),
    (["replay", "link", *GOOD, "loss=gilbert"], r"to_good must be above 0, so that the bad state"),
    (["replay", "link", *GOOD, "seed=-1"], r"seed must be an integer of 0 to 2\^64 - 1, got '-1'"),
    (
        ["replay", "link", *GOOD, "queue_bytes=5"],
        r"needs one queue limit: queue_packets or queue_b",
    ),
    (["replay", "link", *GOOD, "period_ns=5"], r"period_ns belongs to a trace"),
    (["replay", "link", "steps=/no/such"], r"cannot read the trace /no/such: No such file"),
    (["run", "link", *GOOD], r"link 1: needs the interfaces in and out"),
    (["run", "link", *GOOD, "in=a b"], r"in must be the name of an interface, got 'a b'"),
    (["run", "link", *GOOD, "in=" + "x" * 16], r"in must be the name of an interface, got 'xxxx"),
    (["run", *["link", *GOOD, "in=a", "out=b"] * 2], r"link 2: in=a is another link's too"),
    (["run", "samples=/x", "link", *GOOD, "in=a", "out=b"], r"samples and sample_ns go together"),
]


@pytest.mark.parametrize(("said", "message"), BAD, ids=range(len(BAD)))
def test_c_says_what_is_wrong_in_one_line(said, message):
    need("cc")
    done = subprocess.run(
        [build.program(), *said], input="", capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    with pytest.raises(EmulationError, match=message):
        raise EmulationError(done.stderr)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("steps", "", r"is empty"),
        ("steps", "0 1000\n5\n", r"line 2 is not 'ns bit/s'"),
        ("steps", "0 1000\n5 0\n", r"line 2: rates must be 1 to"),
        ("steps", "3 1000\n", r"line 1: the first time must be 0"),
        ("steps", "0 10\n0 10\n", r"line 2: times must rise from 0"),
        ("opportunities", "5\n4\n", r"line 2: times must rise from 0"),
        ("opportunities", "-5\n", r"line 1: times must rise from 0"),
        ("opportunities", "5 6\n", r"line 1 is not 'ns'"),
        ("opportunities", "\0\0\n" * 3, r"line 1 is not 'ns'"),
        ("opportunities", "99999999999999999\n", r"period_ns must be later than the trace's last"),
    ],
)
def test_damaged_trace_is_refused_with_its_line(tmp_path, kind, text, message):
    need("cc")
    trace = tmp_path / "trace"
    trace.write_text(text)
    said = ["replay", "link", f"{kind}={trace}", "period_ns=10", *GOOD[1:]]
    done = subprocess.run([build.program(), *said], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    with pytest.raises(EmulationError, match=message):
        raise EmulationError(done.stderr)


@pytest.mark.parametrize("line", ["x 5", "5", "5 0", "5 65601", "-1 5", "1 2 3", "9" * 300 + " 5"])
def test_damaged_arrivals_are_refused(line):
    need("cc")
    command = [build.program(), "replay", "link", *GOOD]
    done = subprocess.run(
        command, input=f"0 60\n{line}\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "relay: stdin, line 2 is not 'arrival_ns bytes' in range\n"


@pytest.mark.parametrize(
    "said", [["replay", "link", "rate_bps=x"], ["replay", "word"], ["run", "link", *GOOD[:2]]]
)
def test_twin_says_what_is_wrong_in_one_line(said):
    command = [sys.executable, "-m", "emu.relay.twin", *said]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("relay: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("link", "message"),
    [
        (Link(Constant(1e6), 0, CoDel(packets=5)), "queue is CoDel; the relay has DropTail only"),
        (Link(Constant(1e6), 0, DropTail(5), jitter_ns=1), "jitter_ns must be 0"),
        (
            Link(Constant(1e9), 10**13, DropTail(5)),
            "would hold .* MiB of packets, the relay at most",
        ),
        (Link(Constant(float("nan")), 0, DropTail(5)), "capacity.rate_bps must be"),
        (Link(Constant(1e6), -1, DropTail(5)), "delay_ns must be an integer"),
    ],
)
def test_links_that_the_relay_cannot_be_are_refused(link, message):
    with pytest.raises((EmulationError, ScenarioError), match=message):
        check(link)


def test_python_stands_in_where_there_is_no_compiler(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(packages, "SBIN", "")
    program, told = process.choose()
    assert program[1:] == ["-m", "emu.relay.twin"]
    assert told.startswith("link relay in Python (cannot compile the link relay: program 'gcc' not")
    with pytest.raises(EmulationError, match="apt-get install gcc"):
        process.choose("c")
    with pytest.raises(EmulationError, match=r"relay must be auto, c or python, got 'rust'"):
        process.choose("rust")


def test_program_is_compiled_once_per_content(monkeypatch, tmp_path):
    need("cc")
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path))
    made = build.program()
    stamp = made.stat().st_mtime_ns
    assert build.program() == made
    assert made.stat().st_mtime_ns == stamp
    assert [path.name for path in (tmp_path / "emu").iterdir()] == [made.name]
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-DNDEBUG"))
    assert build.program() != made
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-include", "no-such-header"))
    with pytest.raises(EmulationError, match=r"cannot compile the link relay: gcc ended with"):
        build.program()
