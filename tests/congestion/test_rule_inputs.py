"""Inputs of rules: in bounds, equal to a plain account, and to what the environment observes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.congestion import base as b
from policies.congestion import interval_features as f
from policies.congestion import rule_inputs as r
from sim.net.envs import pcc_features, pcc_kernel
from sim.net.envs.batch import Batch
from sim.net.envs.config import EnvConfig
from tests.congestion import pipe

MS = 1e6
WORDS = [f.NAMES[number].replace(" ", "_") for number in r.NUMBERS]
BITS = 12_000.0


def fresh() -> Any:
    table = np.full(r.WIDTH + 2, 777.0)
    r.begin_inputs(table, 1)
    return table


def told(table: Any, name: str) -> float:
    return float(table[1 + list(r.INPUTS).index(name)])


def plain_account(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return all inputs after `rows`, from the words of the documentation."""
    inputs = {name: empty for name, (_, _, empty) in r.INPUTS.items()}
    mean, received, most = 0.0, 0.0, 0.0
    for row in rows:
        seconds = (row["end_ns"] - row["start_ns"]) / 1e9
        if row["acked"] > 0:
            mean, received = row["mean_rtt_ns"], row["acked"] * BITS / seconds
            most = max(most, received)
        settled = row["acked"] + row["lost"]
        rise = row["second_half_rtt_ns"] - row["first_half_rtt_ns"]
        known = row["acked"] > 0
        now = {
            "latency_inflation": rise / 1e9 / seconds if row["acked"] >= 2 else 0.0,
            "latency_ratio": mean / row["min_rtt_ns"] if mean else 1.0,
            "send_ratio": row["sent"] * BITS / seconds / received if received else 1.0,
            "loss": row["lost"] / settled if settled else 0.0,
            "throughput_ratio": received / most if most else 0.0,
            "least_latency_ratio": row["least_rtt_ns"] / row["min_rtt_ns"] if known else 1.0,
            "packets": math.log2(1 + row["sent"]) / 20,
        }
        for name, value in now.items():
            low, high, _ = r.INPUTS[name]
            value = min(max(value, low), high)
            inputs[f"{name}_change"] = value - inputs[f"{name}_slow"]
            inputs[f"{name}_fast"] = 0.5 * inputs[f"{name}_fast"] + 0.5 * value
            inputs[f"{name}_slow"] = 0.875 * inputs[f"{name}_slow"] + 0.125 * value
            inputs[name] = value
        if row["min_rtt_ns"] > 0:
            inputs["min_rtt_ms"] = min(max(row["min_rtt_ns"] / 1e6, 1e-3), 1e4)
        inputs["received_mbps"] = min(received / 1e6, 1e4)
        inputs["sent_packets"] = min(math.log2(1 + row["sent"]), 20.0)
    return inputs


def test_names_are_those_of_the_features() -> None:
    kinds = ("", "_fast", "_slow", "_change")
    assert list(r.INPUTS)[:-3] == [f"{word}{kind}" for word in WORDS for kind in kinds]
    assert list(r.INPUTS)[-3:] == ["min_rtt_ms", "received_mbps", "sent_packets"]
    assert "latency_slope" not in r.INPUTS
    assert all(name.isidentifier() and len(name) <= 32 for name in r.INPUTS)
    for word, number in zip(WORDS, r.NUMBERS, strict=True):
        assert r.INPUTS[word] == r.INPUTS[f"{word}_slow"] == f.FEATURES[f.NAMES[number]]


def test_every_empty_value_is_within_its_bounds() -> None:
    assert all(low <= empty <= high for low, high, empty in r.INPUTS.values())
    assert all(low <= empty <= high for low, high, empty in f.FEATURES.values())


def test_the_environment_has_these_features() -> None:
    assert pcc_features.FEATURES is f.FEATURES
    assert tuple(name for name, _ in pcc_features.FIELDS) == f.MEMORY


intervals = st.builds(
    lambda span, sent, acked, lost, rtts: {
        "start_ns": 7e9,
        "end_ns": 7e9 + span,
        "sent": float(sent),
        "acked": float(acked),
        "lost": float(lost),
        "mean_rtt_ns": sum(rtts) / 2 if acked else math.nan,
        "first_half_rtt_ns": rtts[0] if acked > 1 else math.nan,
        "second_half_rtt_ns": rtts[1] if acked > 1 else math.nan,
        "least_rtt_ns": min(rtts) if acked else math.nan,
        "min_rtt_ns": 0.5 * min(rtts),
    },
    st.floats(1e3, 1e10),
    st.integers(0, 10**5),
    st.integers(0, 10**5) | st.integers(0, 2),
    st.integers(0, 100),
    st.tuples(st.floats(1e3, 1e10), st.floats(1e3, 1e10)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(intervals, max_size=12))
def test_equal_to_a_plain_account(rows: list[dict[str, float]]) -> None:
    table, memory = fresh(), (0.0, 0.0, 0.0, 0.0)
    for values in rows:
        row = pipe.interval(**values)
        memory = f.account(row, memory[0], memory[1], memory[2], BITS, False)
        r.update_inputs(table, 1, row, *memory)
    for name, expected in plain_account(rows).items():
        assert told(table, name) == pytest.approx(expected, rel=1e-9, abs=1e-9), name
    assert (table[0], table[-1]) == (777.0, 777.0), "wrote beside the table"


anything = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(anything, min_size=17, max_size=17), min_size=1, max_size=6),
    st.lists(anything, min_size=4, max_size=4),
)
def test_whatever_a_row_holds_inputs_stay_in_bounds(rows: Any, memory: list[float]) -> None:
    table = fresh()
    for values in rows:
        row = np.array(values)
        # What an engine warrants: intervals have a length, RTTs are no less than 1 ns or unknown.
        row[b.I_END_NS] = row[b.I_START_NS] + 1e3 if abs(row[b.I_START_NS]) < 1e15 else math.nan
        row[b.I_MIN_RTT_NS] = max(row[b.I_MIN_RTT_NS], 1.0)
        row[b.I_SENT] = abs(row[b.I_SENT])
        r.update_inputs(table, 1, row, *memory)
        for value, (name, (low, high, _)) in zip(table[1:-1], r.INPUTS.items(), strict=True):
            assert low <= value <= high, name


def test_what_stays_the_same_has_no_change_and_is_its_own_mean() -> None:
    row = pipe.interval(
        end_ns=20 * MS,
        sent=20.0,
        acked=16.0,
        lost=4.0,
        mean_rtt_ns=60 * MS,
        first_half_rtt_ns=58 * MS,
        second_half_rtt_ns=62 * MS,
        least_rtt_ns=50 * MS,
        min_rtt_ns=40 * MS,
    )
    table, memory = fresh(), f.account(pipe.interval(end_ns=1.0), 0.0, 0.0, 0.0, BITS, False)
    for _ in range(400):
        memory = f.account(row, memory[0], memory[1], memory[2], BITS, False)
        r.update_inputs(table, 1, row, *memory)
    for word in WORDS:
        assert told(table, f"{word}_fast") == pytest.approx(told(table, word), rel=1e-12)
        assert told(table, f"{word}_slow") == pytest.approx(told(table, word), rel=1e-12)
        assert told(table, f"{word}_change") == pytest.approx(0.0, abs=1e-12)
    assert told(table, "loss") == 0.2
    assert told(table, "latency_ratio") == 1.5
    assert told(table, "send_ratio") == 1.25
    assert told(table, "latency_inflation") == 0.2
    assert told(table, "min_rtt_ms") == 40.0
    assert told(table, "received_mbps") == pytest.approx(16 * BITS / 0.02 / 1e6)


def test_a_step_is_forgotten_by_halves_and_by_eighths() -> None:
    lossy, clean = (
        pipe.interval(end_ns=20 * MS, sent=10.0, lost=lost, min_rtt_ns=MS) for lost in (4.0, 0.0)
    )
    table = fresh()
    r.update_inputs(table, 1, lossy, 0.0, 0.0, 0.0, 1e6)
    for k in range(6):
        assert told(table, "loss_fast") == 0.5**k * 0.5
        assert told(table, "loss_slow") == pytest.approx(0.875**k * 0.125)
        r.update_inputs(table, 1, clean, 0.0, 0.0, 0.0, 1e6)
        assert told(table, "loss_change") == pytest.approx(-(0.875**k) * 0.125)


@pytest.mark.parametrize("attribution", [b.DURING, b.SENT])
def test_many_tables_are_the_environments_observations(attribution: str) -> None:
    """`update_many` over the environment's rows has the features that it observed, as float32."""
    names = tuple(f.NAMES[number] for number in r.NUMBERS)
    config = EnvConfig(features=names, history=1, attribution=attribution, loss=(0.0, 0.3))
    batch = Batch(pcc_kernel, config, 20)
    batch.seed(3)
    batch.begin()
    tables, single = np.zeros((20, r.WIDTH)), np.zeros(r.WIDTH + 2)
    for table in tables:
        r.begin_inputs(table, 0)
    single[1:-1] = tables[7]
    draws = np.random.default_rng(0)
    values = [r.KINDS * i for i in range(len(r.NUMBERS))]
    for _ in range(50):
        batch.step(draws.uniform(-1.0, 1.0, (20, 1)))
        memory = np.stack([batch.state[name] for name in f.MEMORY], axis=1)
        r.update_many(tables, batch.state["row"], memory)
        np.testing.assert_array_equal(tables[:, values].astype(np.float32), batch.observations)
        r.update_inputs(single, 1, batch.state["row"][7], *memory[7])
        np.testing.assert_array_equal(single[1:-1], tables[7])
