"""Integers of the datapath: C and Python to the bit, and both near what floats give."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.datapath import integers as n
from emu.datapath.records import RECORD, interval_row
from emu.datapath.settings import step_log2
from policies.congestion import interval_features, rule_inputs
from policies.congestion.steering import step_rate
from tests.datapath import in_c

U64, U32 = st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)
UNIT = 1 << n.Q_UNIT
BITS = 12_112


@pytest.fixture(scope="module", params=[False, True], ids=["during", "sent"])
def compiled(request, tmp_path_factory) -> Any:
    found = in_c.library(tmp_path_factory.mktemp("shim"), request.param)
    return found, request.param


@settings(max_examples=300, deadline=None)
@given(U64, U64, st.integers(0, 63))
def test_elementary_functions_are_the_same_in_c(compiled, a: int, b: int, shift: int) -> None:
    found, _ = compiled
    b >>= shift
    assert found.c_ratio(a, b) == n.ratio(a, b)
    assert found.c_rate_of(a >> 16, b) == n.rate_of(a >> 16, b)
    assert found.c_log2_plus_one(a >> 32) == n.log2_plus_one(a >> 32)
    assert found.c_power_of_two(b - 2**63) == n.power_of_two(b - 2**63)
    assert found.c_scaled(a >> 7, b % (2 * UNIT)) == n.scaled(a >> 7, b % (2 * UNIT))


@settings(deadline=None)
@given(U64, st.integers(1, 2**64 - 1), st.integers(0, 63))
def test_ratio_is_near_the_quotient(a: int, b: int, shift: int) -> None:
    b = max(b >> shift, 1)
    true = Fraction(a, b)
    error = abs(Fraction(n.ratio(a, b), 1 << n.Q_INPUT) - true)
    assert true >= 256 or error <= Fraction(1, 1 << n.Q_INPUT) + true / 2**30
    assert n.ratio(a, 0) == 256 << n.Q_INPUT


@settings(deadline=None)
@given(U32)
def test_log2_is_a_quantum_too_small_at_most(x: int) -> None:
    assert -1e-9 <= math.log2(1 + x) - n.log2_plus_one(x) * n.QUANTUM <= 1.1 * n.QUANTUM


@settings(deadline=None)
@given(st.integers(-UNIT, UNIT), st.floats(1e3, 1e12), st.floats(1e-6, 1.0))
def test_a_step_is_that_of_steering(action: int, bps: float, delta: float) -> None:
    least, most = round(1e3 * 2**n.Q_BPS), round(1e12 * 2**n.Q_BPS)
    made = n.stepped(round(bps * 2**n.Q_BPS), action, step_log2(delta), least, most)
    wanted = min(max(step_rate(bps, action / UNIT, delta), 1e3), 1e12)
    assert made / 2**n.Q_BPS == pytest.approx(wanted, rel=3e-8)


ACK = st.tuples(st.integers(0, 3000), st.integers(1, 3), st.integers(1, 10**6))
INTERVALS = st.lists(
    st.tuples(
        st.lists(ACK, max_size=200),
        st.integers(1, 10**5),
        st.integers(0, 3000),
        st.integers(0, 50),
    ),
    min_size=1,
    max_size=8,
)


def replay(found: Any, by_sent: bool, intervals: Any) -> Any:
    """Yield (record, table of C, table of Python, table of floats, least rate so far)."""
    found.c_begin()
    memory, floats = n.Memory(by_sent), np.zeros(rule_inputs.WIDTH)
    rule_inputs.begin_inputs(floats, 0)
    known = (0.0, 0.0, 0.0, 0.0)
    now, least = 10**9, 0
    for acks, longer, sent, lost in intervals:
        start, rows = now, []
        for gap, packets, rtt in acks:
            now += gap
            rows.append((now, packets, rtt))
            least = min(least or rtt, rtt)
        now += longer
        told = in_c.acks(found, rows or [(now, 0, 1)])
        if not rows:
            told = dict.fromkeys(told, 0)
        record = np.zeros((), RECORD)
        for name, value in told.items():
            record[name] = value
        record["start_us"], record["end_us"], record["sent"] = start, now, sent
        record["lost"], record["min_rtt_us"] = lost, least
        fields = {name: int(record[name]) for name in RECORD.names or () if name != "table"}
        found.c_update(start, now, sent, lost, least, BITS)
        memory.account(fields, BITS)
        memory.update(fields)
        row = interval_row(record)
        known = interval_features.account(row, *known[:3], float(BITS), by_sent)
        rule_inputs.update_inputs(floats, 0, row, *known)
        yield record, in_c.table(found, rule_inputs.WIDTH), memory.table, floats, known[1] / 1e6


@settings(max_examples=150, deadline=None)
@given(INTERVALS)
def test_inputs_are_the_same_in_c_and_near_those_in_floats(compiled, intervals: Any) -> None:
    found, by_sent = compiled
    rtts, lengths, rates = [10**9], [10**9], [1e9]
    for record, in_c_, in_python, in_floats, rate in replay(found, by_sent, intervals):
        assert in_c_ == in_python
        rtts += [int(record["min_rtt_us"])] if record["min_rtt_us"] else []
        lengths.append(int(record["end_us"] - record["start_us"]))
        rates += [rate] if rate > 0.0 else []
        bound = n.most_error(min(rtts), min(lengths), min(rates)) * n.QUANTUM
        for name, integer, real in zip(rule_inputs.INPUTS, in_python, in_floats, strict=True):
            assert abs(integer * n.QUANTUM - real) <= bound, name


@settings(max_examples=150, deadline=None)
@given(st.lists(ACK, min_size=1, max_size=300))
def test_halves_are_exact_while_buckets_are_single_acks(compiled, acks: Any) -> None:
    rows, now = [], 10**9
    for gap, packets, rtt in acks:
        now += gap
        rows.append((now, packets, rtt))
    told = in_c.acks(compiled[0], rows)
    samples = [rtt for _, packets, rtt in rows for _ in range(packets)]
    assert told["acked"] == len(samples)
    assert told["rtt_sum_us"] == sum(samples)
    assert told["least_rtt_us"] == min(samples)
    half = sum(samples[: len(samples) // 2])
    if len(rows) <= 64:
        assert abs(told["first_half_us"] - half) <= 1
    else:  # a bucket at the middle may be parted wrongly, by as much as its RTTs differ
        width = 3 * (1 + len(samples) // 32)
        assert abs(told["first_half_us"] - half) <= width * (max(samples) - min(samples)) + 1


def test_bounds_are_those_of_the_table() -> None:
    for values, floats in ((n.LOW, rule_inputs.LOW), (n.EMPTY, rule_inputs.EMPTY)):
        for integer, real in zip(values, floats, strict=True):
            assert integer * n.QUANTUM == pytest.approx(real, abs=n.QUANTUM)
    assert len(n.HIGH) == rule_inputs.WIDTH == n.FEATURES * rule_inputs.KINDS + 3


def test_whatever_the_counters_hold_inputs_stay_in_bounds(compiled) -> None:
    found, _ = compiled
    hostile = [0, 1, 2**31, 2**32 - 1]
    found.c_begin()
    for sent in hostile:
        for lost in hostile:
            for rtt in (1, 2**32 - 1):
                in_c.acks(found, [(2**40, 1, rtt), (2**41, 2**31, rtt)])
                for least in (0, 1, 2**24):
                    found.c_update(2**40, 2**40 + sent, sent, lost, least, 2**20)
                    inputs = in_c.table(found, rule_inputs.WIDTH)
                    bounded = zip(n.LOW, inputs, n.HIGH, strict=True)
                    assert all(low <= value <= high for low, value, high in bounded)
