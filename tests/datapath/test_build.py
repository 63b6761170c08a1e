"""What the program is made with: settings, decisions, machines that cannot, and the layout."""

from __future__ import annotations

import ctypes
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.datapath import build, decision, machine
from emu.datapath.decision import Decision, compiled
from emu.datapath.libbpf import verdict
from emu.datapath.problems import DatapathError
from emu.datapath.records import RECORD, STEER, flow_row, interval_row, read_record
from emu.datapath.settings import Settings
from policies.congestion import base
from policies.congestion.rule_inputs import INPUTS
from policies.rules.parse import parse_rule
from tests.datapath import in_c
from tests.needs import need_datapath

HOLD = "static __always_inline s64 decide(const s64 *inputs)\n{\n\treturn inputs[0];\n}\n"


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ("6.9.12-generic", "older than 6.10"),
        ("5.15.0", "older than 6.10"),
        ("next", "the datapath runs in Linux"),
    ],
)
def test_a_kernel_that_is_too_old_is_told(release: str, said: str) -> None:
    with pytest.raises(DatapathError, match=said):
        machine.check_build(release)


def test_what_a_machine_lacks_is_told_in_one_line(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "BTF", tmp_path / "none")
    with pytest.raises(DatapathError, match="CONFIG_DEBUG_INFO_BTF"):
        machine.check_build("6.10.0")
    monkeypatch.setattr(machine, "BTF", tmp_path)
    monkeypatch.setattr(machine, "find_program", lambda name: None)
    with pytest.raises(DatapathError, match="clang not found: apt-get install clang bpftool"):
        machine.check_build("7.0.0")
    monkeypatch.setattr(machine, "find_program", lambda name: "/bin/true")
    monkeypatch.setattr(machine, "HEADERS", tmp_path / "none")
    with pytest.raises(DatapathError, match="libbpf-dev"):
        machine.check_build("6.18.1")
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    with pytest.raises(DatapathError, match="needs root"):
        machine.check_load()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"delta": math.nan}, "delta"),
        ({"min_bps": 1.0}, "min_bps must be in"),
        ({"interval_packets": 2.5}, "must be whole"),
        ({"rate": 1.0}, "no parameter 'rate'"),
        ({"max_bps": 1e13}, "max_bps must be in"),
    ],
)
def test_settings_out_of_range_are_refused(parameters: dict[str, float], said: str) -> None:
    with pytest.raises(DatapathError, match=said):
        Settings("tri_x", parameters)


def test_a_decision_on_what_no_flow_has() -> None:
    with pytest.raises(DatapathError, match=r"'los'.*'loss'"):
        Decision("x", HOLD, "decide", ("los",), (24,), 24)
    rule = parse_rule("triptych-rule 1\nname x\naction [-1, 1]\ninput weather [0, 1]\nweather\n")
    with pytest.raises(DatapathError, match="weather"):
        compiled(rule)
    with pytest.raises(DatapathError, match="99 fractional bits"):
        Decision("x", HOLD, "decide", ("loss",), (99,), 24)


def test_a_rule_that_does_not_fit_integers_is_refused_by_its_part() -> None:
    text = "triptych-rule 1\nname wide\naction [-1, 1]\ninput loss [0, 1]\n"
    with pytest.raises(DatapathError, match="wide"):
        compiled(parse_rule(text + "1e80 * loss - 1e80 * loss * loss * loss"))


@given(st.integers(-(2**37), 2**37), st.integers(-30, 36))
def test_inputs_are_handed_over_in_their_formats(value: int, bits: int) -> None:
    """The C of `_shifted`, read as Python: near value x 2**bits, within 62 bits."""
    text = decision._shifted("value", bits).replace("LL", "")
    made = eval(text, {"value": value, "within": lambda x, a, b: min(max(x, a), b)})
    exact = value * 2.0**bits
    assert abs(made) <= 2**62
    if abs(exact) < 2.0**62:
        assert abs(made - exact) <= 0.5


def test_the_layout_of_records_is_that_of_c(tmp_path: Path) -> None:
    found = in_c.library(tmp_path, False)
    assert RECORD.names is not None
    assert RECORD.fields is not None
    for name in RECORD.names:
        offset = ctypes.c_uint64.in_dll(found, f"offset_{name}").value
        assert offset == RECORD.fields[name][1], name
    assert STEER.itemsize == 32
    with pytest.raises(ValueError, match="a record has"):
        read_record(bytes(8))


def record(**fields: Any) -> Any:
    made = np.zeros((), RECORD)
    for name, value in fields.items():
        made[name] = value
    return made


def test_rows_are_those_of_hooks() -> None:
    sends = np.array([0.0, 100.0, 250.0, 400.0])
    rtts = np.array([50.0, 60.0, 80.0, 90.0])
    x, y = (sends - sends[0]).astype(int), (rtts - rtts[0]).astype(int)
    made = record(
        start_us=1_000, end_us=3_000, sent=4, acked=4, rtt_sum_us=280, first_half_us=110,
        least_rtt_us=50, min_rtt_us=40, srtt_us=70, sum_x=x.sum(), sum_y=y.sum(),
        sum_xy=(x * y).sum(), sum_xx=(x * x).sum(), interval_rate_bps=5_000_000,
    )  # fmt: skip
    row = interval_row(made)
    assert row[base.I_MEAN_RTT_NS] == 70e3
    assert row[base.I_FIRST_HALF_RTT_NS] == 55e3
    assert row[base.I_SECOND_HALF_RTT_NS] == 85e3
    assert row[base.I_RTT_SLOPE] == pytest.approx(np.polyfit(sends, rtts, 1)[0])
    assert row[base.I_SEND_SPAN_NS] == 1.5e6
    assert (row[base.I_START_NS], row[base.I_END_NS]) == (1e6, 3e6)
    assert (row[base.I_SRTT_NS], row[base.I_MIN_RTT_NS]) == (70e3, 40e3)
    empty = interval_row(record(start_us=5, end_us=5))
    assert np.isnan(empty[base.I_MEAN_RTT_NS])
    assert np.isnan(empty[base.I_MIN_RTT_NS])
    assert empty[base.I_END_NS] > empty[base.I_START_NS]
    assert empty[base.I_RTT_SLOPE] == 0.0
    facts = flow_row(record(packet_bytes=1514, payload_bytes=1448), 2e6)
    assert facts[base.PACKET_BYTES] == 1514.0
    assert facts[base.START_RATE_BPS] == 2e6


def test_the_verifier_s_reason_is_found_in_its_log() -> None:
    log = "0: R1=ctx() R10=fp0\n; return 1;\n7: (79) r0 = *(u64 *)(r1 +0)\n"
    log += "R1 invalid mem access 'scalar'\nprocessed 8 insns (limit 1000000)\n"
    assert verdict(log) == "R1 invalid mem access 'scalar'"
    assert verdict("") == "no reason given"
    assert verdict("BPF program is too large. Processed 1000001 insn\n").startswith("BPF program")


@pytest.mark.root
def test_building_twice_compiles_once_and_errors_are_told(tmp_path: Path, monkeypatch) -> None:
    need_datapath()
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path))
    hold = Decision("hold", HOLD, "decide", ("loss",), (24,), 24)
    first = build.build(Settings("tri_x"), hold)
    stamp = first.stat().st_ino
    assert build.build(Settings("tri_x"), hold) == first
    assert first.stat().st_ino == stamp
    assert build.build(Settings("tri_y"), hold) != first
    broken = Decision("broken", HOLD.replace("inputs[0]", "nothing"), "decide", (), (), 24)
    with pytest.raises(DatapathError, match=r"clang refuses.*undeclared identifier 'nothing'"):
        build.build(Settings("tri_x"), broken)
    signed = HOLD.replace("inputs[0]", "inputs[0] / (inputs[0] - 3)")
    with pytest.raises(DatapathError, match=r"clang refuses.*sdiv"):
        build.build(Settings("tri_x"), Decision("d", signed, "decide", ("loss",), (24,), 24))
    assert sorted(path.suffix for path in first.parent.iterdir()) == [".o", ".o"]


def test_every_input_can_be_asked_for() -> None:
    every = Decision("all", HOLD, "decide", tuple(INPUTS), (24,) * len(INPUTS), 24)
    assert all(f"/* {name} */" in every.header() for name in INPUTS)
