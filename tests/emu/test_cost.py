"""What the datapath costs: how turns are summed up, and a small measurement with real packets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.cost import bulk, statistics, summary
from emu.cost.entrants import RULE_PER_ACK
from emu.cost.hooks import PER_ACK, READS, Hooks
from emu.cost.per_ack import order, segments_in
from emu.cost.statistics import Ran
from emu.datapath import machine
from emu.datapath.problems import DatapathError
from experiments.kinds.base import KINDS
from tests.needs import need, need_datapath, need_emulation

KIND = KINDS.get("congestion-ack-cost")
TIMED = ("rule", "rule_watched", "cubic", "bbr")
STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
ACKS = 1000
COUNT = st.integers(1, 10**5)
TIMES = st.lists(
    st.fixed_dictionaries({name: st.tuples(COUNT, COUNT) for name in (*TIMED, "empty")}),
    min_size=1,
    max_size=6,
)


def turns(rounds: list[dict[str, tuple[int, int]]], clock_ns: int = 0, times: int = 1) -> list[Any]:
    """Return turns of callbacks that take so many ns; statistics add a clock reading to each run.

    Of who is timed, the first callback runs once per ACK, the second twice.
    """
    made = []
    for place, row in enumerate(rounds):
        ns = {who: [times * value for value in pair] for who, pair in row.items()}
        ran = {who: {"a": (a, 1), "b": (b, 2)} for who, (a, b) in ns.items() if who in TIMED}
        idle = ns["empty"][0]
        ran["empty"] = {PER_ACK["empty"]: (idle, 1)}
        ran["clock"] = {PER_ACK["clock"]: (idle + READS * clock_ns, 1)}
        for who, programs in ran.items():
            told = {
                name: [ACKS * runs * (each + clock_ns), ACKS * runs]
                for name, (each, runs) in programs.items()
            }
            turn = {"round": place, "entrant": who, "acks": ACKS, "decisions": 10}
            made.append({**turn, "programs": told})
    return made


@given(TIMES, st.integers(0, 500))
def test_what_statistics_take_themselves_is_in_no_time(rounds: Any, clock_ns: int) -> None:
    plain, burdened = (summary.per_ack(turns(rounds, own)) for own in (0, clock_ns))
    assert burdened["statistics_ns"] == pytest.approx(clock_ns)
    same = ("empty_ns", "ack_ratio", "ack_ratio_watched", "ack_ratio_to_bbr")
    for name in (*(f"{who}_ack_ns" for who in TIMED), *same):
        assert burdened[name] == pytest.approx(plain[name])
    assert burdened["rule_ack_raw_ns"] == pytest.approx(plain["rule_ack_ns"] + 3 * clock_ns)


@given(TIMES, st.integers(2, 50))
def test_a_machine_so_many_times_slower_has_the_same_ratios(rounds: Any, times: int) -> None:
    slow, fast = (summary.per_ack(turns(rounds, times=t)) for t in (times, 1))
    assert slow["rule_ack_ns"] == pytest.approx(times * fast["rule_ack_ns"])
    for name in ("ack_ratio", "ack_ratio_low", "ack_ratio_high", "ack_ratio_raw"):
        assert slow[name] == pytest.approx(fast[name])
    assert fast["ack_ratio_low"] <= fast["ack_ratio"] <= fast["ack_ratio_high"]
    assert fast["acks_per_decision"] == 100.0


def test_turns_that_say_nothing_are_refused() -> None:
    rows = turns([dict.fromkeys((*TIMED, "empty"), (10, 10))])
    with pytest.raises(ValueError, match="cubic: only 3 ACKs came back"):
        summary.per_ack([row | ({"acks": 3} if row["entrant"] == "cubic" else {}) for row in rows])
    with pytest.raises(ValueError, match="the rule decided nothing"):
        summary.per_ack([row | {"decisions": 0} for row in rows])


BUSY = st.floats(0.01, 100.0)


@given(st.lists(st.fixed_dictionaries(dict.fromkeys((bulk.RULE, *bulk.OTHERS), BUSY)), min_size=1))
def test_cpu_per_gigabyte_does_not_depend_on_how_much_was_sent(rounds: Any) -> None:
    def made(gigabytes: float) -> dict[str, float]:
        rows = [
            {"round": i, "entrant": who, "busy_s": s * gigabytes, "payload_bytes": 1e9 * gigabytes}
            for i, row in enumerate(rounds)
            for who, s in row.items()
        ]
        return summary.per_gigabyte(rows, [0.1])

    one, ten = made(1.0), made(10.0)
    assert one == pytest.approx(ten)
    if len(rounds) == 1:
        assert one["rule_cpu_s_per_gb"] == pytest.approx(rounds[0]["rule"])
        assert one["cpu_ratio"] == pytest.approx(rounds[0]["rule"] / rounds[0]["cubic"])


def test_a_flow_that_carried_nothing_is_refused() -> None:
    rows = [
        {"round": 0, "entrant": who, "busy_s": 1.0, "payload_bytes": float(who != "bbr")}
        for who in (bulk.RULE, *bulk.OTHERS)
    ]
    with pytest.raises(ValueError, match="carried nothing"):
        summary.per_gigabyte(rows, [0.0])


def test_what_the_kernel_tells_is_read() -> None:
    text = "pos:\t0\nprog_type:\t27\nrun_time_ns:\t1200\nrun_cnt:\t40\n"
    assert statistics.parse(text, "x") == Ran(1200, 40)
    assert Ran(1200, 40).mean_ns == 30.0
    assert Ran(5, 2) + Ran(7, 3) - Ran(7, 3) == Ran(5, 2)
    for damaged in ("", "run_cnt:\t4\n", "run_time_ns:\tmany\nrun_cnt:\t1\n"):
        with pytest.raises(DatapathError, match="program 'x'"):
            statistics.parse(damaged, "x")
    assert segments_in("Ip: A\nIp: 1\nTcp: OutSegs InSegs\nTcp: 7 9\n") == 9
    table = "Inter-|\n face |bytes\n    lo: 5 1 0\n r1-0:1514 1 0 0\n"
    assert bulk.received_bytes(table, "r1-0") == 1514
    cpu = "cpu  9 0 9 300 50 0 0 50 0 0\ncpu0 1\ncpu1 1\nintr 5\n"
    ticks = os.sysconf("SC_CLK_TCK")
    assert bulk.busy_s(cpu, 4.0) == pytest.approx(8.0 - 400 / ticks)


def test_everybody_is_first_in_turn() -> None:
    firsts = [order(list(TIMED), place)[0] for place in range(2 * len(TIMED))]
    assert firsts == [*TIMED, *TIMED]
    assert sorted(order(list(TIMED), 3)) == sorted(TIMED)


@pytest.mark.parametrize("field", ["rounds", "mbps", "watch_s", "bulk_rounds"])
def test_fields_out_of_range_are_refused_by_name(field: str) -> None:
    with pytest.raises(ValueError, match=field):
        KIND.Config.model_validate({field: 0})


def test_what_is_no_rule_is_refused() -> None:
    config = KIND.Config().model_dump(mode="json")
    with pytest.raises(ValueError, match="'cubic' is no symbolic rule"):
        KIND.run({**config, "policy": "cubic", "seed": 0})


@pytest.mark.root
@pytest.mark.extensive
class TestLive:
    @pytest.fixture(autouse=True)
    def _here(self) -> None:
        need_emulation()
        need_datapath()
        need("iperf3")

    def test_a_small_measurement(self) -> None:
        """Who calls the kernel and nothing else takes time; the settings stay as they are."""
        small = {"rounds": 1, "bulk_rounds": 1, "settle_s": 0.4, "watch_s": 0.6, "bulk_mbps": 100.0}
        config = KIND.Config.model_validate(small).model_dump(mode="json")
        before = STATS.read_text(), set(machine.available())
        outcome = KIND.run({**config, "policy": "symbolic_branched", "seed": 0})
        found: dict[str, Any] = dict(outcome.metrics)
        assert set(found) == set(KIND.metrics)
        assert STATS.read_text() == before[0]
        ours = ("tri_a", "tri_b", "tri_cubic", "tri_bbr", "tri_empty")
        assert not [n for n in set(machine.available()) - before[1] if n.startswith(ours)]
        assert all(found[f"{name}_ack_ns"] > 0.0 for name in ("rule", "cubic", "bbr"))
        assert found["cubic_ack_raw_ns"] > found["cubic_ack_ns"]
        assert found["statistics_ns"] > 0.0
        assert found["acks_per_decision"] >= 1.0
        runs = outcome.tables["callbacks"]
        rows = zip(runs["entrant"], runs["callback"], runs["acks"], runs["runs"], strict=True)
        once = {(who, name): count / acks for who, name, acks, count in rows}
        # Segments that come back are the ACKs, but for a few at the ends and of iperf3's other
        # connection: the callback for every ACK ran about as often.
        assert once["rule", RULE_PER_ACK] == pytest.approx(1.0, abs=0.1)
        for who, name in PER_ACK.items():
            assert once[who, name] == pytest.approx(1.0, abs=0.1)

    def test_statistics_are_kept_only_while_asked_for(self) -> None:
        hooks = Hooks("cubic")
        try:
            with statistics.kept():
                assert set(statistics.read(hooks.loaded.programs())) >= {"hook_acked", "hook_avoid"}
            ran = statistics.read(hooks.loaded.programs())
            assert all(some.count == 0 for some in ran.values()), "no socket has asked for it"
        finally:
            hooks.close()
