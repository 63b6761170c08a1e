"""Real packets under the datapath: it holds rates, counts what is true, and decides as promised."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emu.datapath import integers, machine
from emu.datapath.agent import Agent
from emu.datapath.decision import Decision, compiled
from emu.datapath.loading import Datapath
from emu.datapath.problems import DatapathError, RefusedError
from emu.datapath.records import BEGAN, ENDED, INTERVAL, RECORD, flow_row, interval_row
from emu.datapath.settings import Settings, step_log2
from policies.congestion import base, interval_features, rule_inputs
from policies.congestion.base import CONTROLLERS
from policies.congestion.steering import DEFAULTS
from policies.congestion.symbolic import Symbolic
from policies.rules.count import operations
from policies.rules.evaluate import evaluate
from policies.rules.fixed.compile import compile_fixed
from policies.rules.parse import parse_rule
from tests.datapath import world
from tests.needs import need_datapath

OURS = f"t{os.getpid()}_"
"""Names hold for the whole machine, and another run of these tests may be at work on it."""

pytestmark = [pytest.mark.root, pytest.mark.extensive]

PROBE = """triptych-rule 1
name probe
action [-1, 1]
input min_rtt_ms [0.001, 10]
input received_mbps [0, 100]
input loss_slow [0, 1]
input latency_ratio_fast [1, 100]
input send_ratio_change [-10, 10]

if received_mbps < 15 then 0.7
else if loss_slow > 0.01 then -1
else tanh(0.3 - 0.05 * min_rtt_ms + 0.01 * send_ratio_change) / log(3 + latency_ratio_fast)
"""


@pytest.fixture(autouse=True)
def _here() -> Iterator[None]:
    need_datapath()
    yield
    left = [name for name in machine.available() if name.startswith(OURS)]
    assert not left, "registrations outlive their test"


def run(datapath: Datapath, agent: Agent | None = None, **flow: Any) -> tuple[Any, dict[str, Any]]:
    """Run a flow; return all records in one array, and what arrived."""
    process = world.start(congestion=datapath.settings.name, **flow)
    records = []
    while process.poll() is None:
        records += agent.serve(datapath, 50) if agent else datapath.poll(50)
    for _ in range(2):
        records += datapath.poll(50)
    return np.array(records, RECORD), world.finish(process)


def intervals(records: Any) -> Any:
    return records[records["kind"] == INTERVAL]


def check_conservation(records: Any, slack: int) -> None:
    """Over any run of intervals: acknowledged and lost packets were sent, or in flight before."""
    rows = intervals(records)
    sent, acked, lost = (rows[name].astype(np.int64) for name in ("sent", "acked", "lost"))
    assert (np.cumsum(acked + lost) <= np.cumsum(sent) + slack).all()
    assert (acked > 0).any()
    np.testing.assert_array_equal(rows["id"], np.arange(len(rows)))
    assert (rows["end_us"] > rows["start_us"]).all()
    some = rows[rows["acked"] > 0]
    assert (some["least_rtt_us"] >= some["min_rtt_us"]).all()
    assert (some["rtt_sum_us"] >= some["acked"] * some["least_rtt_us"].astype(np.uint64)).all()


def test_an_agent_holds_a_fixed_rate() -> None:
    agent = Agent(CONTROLLERS.get("fixed"), {"rate_bps": 8e6})
    with Datapath(agent.settings(OURS + "fixed")) as datapath:
        records, arrived = run(datapath, agent, seconds=3.0, mbps=20, limit_bytes=60_000)
        assert datapath.missed == 0
    assert arrived["wire_bps"] == pytest.approx(8e6, rel=0.03)
    kinds = list(records["kind"])
    assert (kinds[0], kinds[-1], kinds.count(BEGAN), kinds.count(ENDED)) == (BEGAN, ENDED, 1, 1)
    assert set(records["packet_bytes"]) == {1514}
    check_conservation(records, slack=0)
    rows = intervals(records)[5:]
    assert (rows["interval_rate_bps"] == 8_000_000).all()
    assert 10e3 <= np.median(rows["end_us"] - rows["start_us"]) < 30e3, "the first ACK after 10 ms"
    assert 1448 * int(rows["acked"].sum()) <= arrived["total"]
    assert 1448 * int(rows["acked"].sum()) >= 0.9 * arrived["total"]


def test_too_high_a_rate_loses_what_the_link_cannot_carry() -> None:
    agent = Agent(CONTROLLERS.get("fixed"), {"rate_bps": 12e6})
    with Datapath(agent.settings(OURS + "high")) as datapath:
        records, arrived = run(datapath, agent, seconds=3.0, mbps=10, limit_bytes=30_000)
    assert arrived["wire_bps"] == pytest.approx(10e6, rel=0.05)
    check_conservation(records, slack=0)
    rows = intervals(records)[20:]
    lost, sent = rows["lost"].sum(), rows["sent"].sum()
    assert 0.10 < lost / sent < 0.24, "1 - 10 / 12 in theory"


def test_vivace_by_an_agent_counts_packets_where_they_were_sent() -> None:
    agent = Agent(CONTROLLERS.get("vivace"))
    with Datapath(agent.settings(OURS + "viv")) as datapath:
        records, arrived = run(datapath, agent, seconds=4.0, mbps=20, limit_bytes=60_000)
    rows = intervals(records)
    np.testing.assert_array_equal(rows["acked"] + rows["lost"], rows["sent"])
    check_conservation(records, slack=0)
    assert 8e6 < arrived["wire_bps"] < 20.2e6
    assert len(set(rows["interval_rate_bps"])) > 10, "its trials have rates of their own"


def replayed(rows: Any) -> Iterator[tuple[Any, list[int], Any]]:
    """Yield (record, integers, floats) with both tables after each interval of a rule's flow."""
    memory, floats = integers.Memory(), np.zeros(rule_inputs.WIDTH)
    rule_inputs.begin_inputs(floats, 0)
    known, bits = (0.0, 0.0, 0.0, 0.0), 8 * 1514
    warmup = DEFAULTS["warmup_intervals"]
    for record in rows:
        fields = {name: int(record[name]) for name in RECORD.names or () if name != "table"}
        row = interval_row(record)
        known = interval_features.account(row, *known[:3], float(bits), False)
        memory.account(fields, bits)
        if warmup > 0:
            warmup -= known[0] > 0.0
        else:
            memory.update(fields)
            rule_inputs.update_inputs(floats, 0, row, *known)
        yield record, memory.table, floats


def simulated(rows: Any, folder: Path) -> Iterator[tuple[Any, float]]:
    """Yield (record, rate) with the rate that the simulators' controller sets after it.

    Each step begins at the kernel's rate, so that one near miss does not pull all others along.
    """
    path = folder / "probe.rule"
    path.write_text(PROBE, encoding="utf-8")

    class Probe(Symbolic, rule=path):
        """The rule as a controller."""

    state, constants = np.zeros(len(Probe.state)), Probe.constants({"start_bps": 3e6})
    Probe.init(state, flow_row(rows[0], math.nan), constants)
    for record in rows:
        state[base.PACING_BPS] = float(record["interval_rate_bps"])
        Probe.on_interval(state, interval_row(record), constants)
        yield record, state[base.PACING_BPS]


def test_a_rule_decides_in_the_kernel_as_it_does_in_floats(tmp_path: Path) -> None:
    rule = parse_rule(PROBE)
    settings = Settings(OURS + "rule", {"start_bps": 3e6})
    with Datapath(settings, compiled(rule)) as datapath:
        records, arrived = run(datapath, seconds=4.0, mbps=20, limit_bytes=60_000)
        assert datapath.missed == 0
    check_conservation(records, slack=0)
    rows, bound = intervals(records), compile_fixed(rule).bound
    assert len(rows) > 100
    assert arrived["total"] > 2_000_000
    least = min(rows["min_rtt_us"][rows["min_rtt_us"] > 0])
    length = min(rows["end_us"] - rows["start_us"])
    quanta = integers.most_error(int(least), int(length), 0.5)
    rate, near = 3_000_000 << integers.Q_BPS, 0
    for record, table, floats in replayed(rows):
        assert list(record["table"]) == table
        np.testing.assert_allclose(
            np.array(table) * integers.QUANTUM, floats, rtol=0, atol=quanta * integers.QUANTUM
        )
        if not record["acted"]:
            continue
        action = int(record["action"]) / 2**integers.Q_UNIT
        given = dict(zip(rule_inputs.INPUTS, np.array(table) * integers.QUANTUM, strict=True))
        wanted = evaluate(rule, {i.name: float(given[i.name]) for i in rule.inputs})
        near += abs(action - wanted) > bound + 2.0**-23
        rate = integers.stepped(
            rate, int(record["action"]), step_log2(0.05), 10_000 << 16, 10**10 << 16
        )
        assert int(record["rate_bps"]) == rate >> integers.Q_BPS
    assert near <= 1, "beside a branch's boundary the integers may decide otherwise"
    strangers = sum(
        abs(int(record["rate_bps"]) / wanted - 1.0) > 1e-5
        for record, wanted in simulated(rows, tmp_path)
    )
    assert strangers <= 1, "the simulators' controller would have set other rates"
    actions = rows["action"][rows["acted"] == 1]
    assert 0.7 in np.round(actions / 2**integers.Q_UNIT, 3)
    assert len(set(actions)) > 5


def test_a_rule_that_nobody_watches_tells_nothing_and_decides_all_the_same() -> None:
    """It rises from where it began, as only decisions can make it."""
    settings = Settings(OURS + "still", {"start_bps": 9e6}, tells=False)
    with Datapath(settings, compiled(parse_rule(PROBE))) as datapath:
        records, arrived = run(datapath, seconds=3.0, mbps=20, limit_bytes=60_000)
        assert len(records) == 0
        assert datapath.missed == 0
    assert arrived["wire_bps"] > 12e6, "the probe rises where it receives less than 15 Mbit/s"


def chain(draws: random.Random, length: int) -> str:
    """Return an expression in which so many operations follow one another."""
    forms = (
        *("tanh({t})", "sqrt(abs({t}))", "log(1 + abs({t}))", "exp(min(1, {t}) - 1)"),
        *("min({t}, {c} * {x})", "max({t}, {x} - {c})", "({t} / (1 + abs({x})))"),
        *("({t} - {c} * {x})", "({t} + {x} * 0.3)"),
    )
    text = "latency_ratio_fast"
    for _ in range(length):
        name = draws.choice(("latency_ratio_fast", "loss_slow", "send_ratio", "min_rtt_ms"))
        text = draws.choice(forms).format(t=text, c=round(draws.uniform(0.1, 2.0), 3), x=name)
    return text


def test_a_rule_of_150_operations_passes_the_verifier() -> None:
    draws = random.Random(3)
    a, b, c, d, e = (chain(draws, 12) for _ in range(5))
    text = "triptych-rule 1\nname large\naction [-1, 1]\ninput latency_ratio_fast [1, 100]\n"
    text += "input loss_slow [0, 1]\ninput send_ratio [0, 10]\ninput min_rtt_ms [0.001, 1000]\n"
    text += f"if loss_slow < 0.01 then if send_ratio < 1.1 then {a} else {b}\n"
    text += f"else if min_rtt_ms < 50 then (if send_ratio < 2 then {c} else {d}) else {e}"
    rule = parse_rule(text)
    assert 100 <= operations(rule).total <= 150
    with Datapath(Settings(OURS + "large"), compiled(rule)):
        assert OURS + "large" in machine.available()


def test_a_rule_that_the_verifier_refuses() -> None:
    """It reads memory at an address of its own making."""
    reads = "static __always_inline s64 decide(const s64 *x)\n{\n\treturn *(const s64 *)x[0];\n}\n"
    wild = Decision("wild", reads, "decide", ("loss",), (24,), 24)
    with pytest.raises(RefusedError, match="rule 'wild': the verifier refused the program") as said:
        Datapath(Settings(OURS + "wild"), wild)
    assert "\n" not in str(said.value)
    assert len(said.value.log) > 100


def test_a_name_that_is_taken() -> None:
    agent = Agent(CONTROLLERS.get("fixed"), {"rate_bps": 1e6})
    with (
        Datapath(agent.settings(OURS + "twice")),
        pytest.raises(DatapathError, match=f"'{OURS}twice' is taken"),
    ):
        Datapath(agent.settings(OURS + "twice"))
    with pytest.raises(DatapathError, match="'cubic' is taken"):
        Datapath(agent.settings("cubic"))
