"""A manifest names a calibrated machine: its sweep runs, and faults are said where they are."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from experiments.check import load_manifest
from experiments.kinds.base import KINDS
from experiments.kinds.serving_calibrated import PREFIX
from experiments.plan import make_plan
from experiments.problems import InputError
from serving.vllm.entry_file import TERMS, VALUE_BYTES
from serving.vllm.model import DUMMIES
from sim.gpu.models import model_named
from tests.experiments.harness import write_manifest

NS = dict(zip(TERMS, [900_000.0, 40_000.0, 150_000.0, 30.0, 90.0, 0.0], strict=True))
ENTRY = {
    "schema": 1,
    "name": "mine",
    "processor": "A processor",
    "engine": "vLLM 0.32.0, torch 2",
    "model": "small",
    "dtype": "float32",
    "threads": 1,
    "unit": "ns",
    "terms": NS,
    "terms_without_sharing": NS,
    "steps": 800,
    "judged": [],
    "worst_error": 0.08,
}
BASE = {
    "workload": {"kind": "source", "name": "azure", "requests": 60},
    "rates": "calibrated",
    "profile": "mine.json",
    "model": "dummy-small",
    "value_bytes": 4,
    "memory": {"kv_bytes": 512 << 20},
    "overlap": {"kind": "sum"},
    "max_batched_tokens": 512,
    "kv_reserve": 0.0,
    "estimate": {"kind": "oracle"},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The results folder of a machine that was calibrated."""
    monkeypatch.setenv("TRIPTYCH_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path / "data"))
    (tmp_path / "results" / "hardware").mkdir(parents=True)
    _write(tmp_path)
    return tmp_path


def _write(folder, **changes):
    path = folder / "results" / "hardware" / "mine.json"
    path.write_text(json.dumps(ENTRY | changes), encoding="utf-8")


def _plan(folder, **base):
    fields = {"kind": "serving-order", "base": BASE | base, "metrics": ["makespan_s"]}
    axes = [{"grid": {"max_seqs": [2, 8, 32]}}]
    path = write_manifest(folder, **fields, axes=axes, policies=["prefix_dfs", "shuffled"])
    return make_plan(load_manifest(path), "quick")


def test_a_sweep_runs_on_a_calibrated_machine(folder):
    """Three sizes, two orders: each token and step costs what the entry says, at the least."""
    makespans = {"prefix_dfs": [], "shuffled": []}
    for spec in _plan(folder).runs:
        outcome = KINDS.get(spec.kind).run(spec.config)
        metrics = outcome.metrics
        assert metrics["requests_done"] == 60
        least_s = metrics["steps"] * NS["step"] / 1e9
        assert metrics["makespan_s"] > least_s > 0
        assert metrics["makespan_s"] == pytest.approx(metrics["makespan_if_sum_s"])
        assert any("A processor" in n and "off by up to 8.0 %" in n for n in outcome.notes)
        makespans[spec.config["policy"]].append(metrics["makespan_s"])
    for times in makespans.values():
        assert all(few > many for few, many in pairwise(times))  # fewer seats, more steps


def test_twice_the_costs_are_twice_the_time(folder):
    (spec, *_) = _plan(folder).runs
    once = KINDS.get(spec.kind).run(spec.config).metrics["makespan_s"]
    _write(folder, terms_without_sharing={name: 2 * ns for name, ns in NS.items()})
    with pytest.raises(ValueError, match=r"mine\.json has changed"):
        KINDS.get(spec.kind).run(spec.config)
    (other, *_) = _plan(folder).runs
    assert KINDS.get(spec.kind).run(other.config).metrics["makespan_s"] == pytest.approx(2 * once)


def test_a_run_belongs_to_the_content_of_the_entry(folder):
    """Written again alike it is the same run; with another number, another one."""
    before = [spec.id for spec in _plan(folder).runs]
    _write(folder)
    assert [spec.id for spec in _plan(folder).runs] == before
    _write(folder, worst_error=0.09)
    assert not set(before) & {spec.id for spec in _plan(folder).runs}


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ({"profile": "none.json"}, "profile: no hardware entry at .*triptych calibrate writes one"),
        ({"profile": None}, "profile: calibrated rates need the file"),
        ({"model": "llama-3-8b"}, "model: .* is of model small in float32; set model: dummy-small"),
        ({"value_bytes": 2}, "value_bytes: .*; set value_bytes: 4"),
        ({"overlap": {"kind": "max"}}, r"overlap: .*set overlap: \{kind: sum\}"),
        ({"gpus": 2}, "gpus: .*set it to 1"),
        ({"token_quantum": 128}, "token_quantum: .*set it to 1"),
        ({"profile_sha256": "0" * 64}, "profile_sha256: .*another digest"),
    ],
)
def test_what_cannot_be_combined_is_said(folder, base, message):
    with pytest.raises(InputError, match=message):
        _plan(folder, **base)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "ms"}, "schema 1 and unit ns"),
        ({"terms_without_sharing": NS | {"step": float("nan")}}, r"\.step must be a number >= 0"),
        ({"terms_without_sharing": NS | {"pair": -1}}, r"\.pair must be .*in ns"),
        ({"terms_without_sharing": dict.fromkeys(TERMS, 0)}, "steps that cost nothing"),
        ({"terms_without_sharing": None}, "terms_without_sharing must hold step"),
        ({"dtype": "int3"}, "dtype must be one of float32, bfloat16"),
        ({"model": ""}, "model must be a text"),
        ({"worst_error": None}, "worst_error must be a number"),
    ],
)
def test_damaged_entries_are_said_with_their_field(folder, changes, message):
    _write(folder, **changes)
    with pytest.raises(InputError, match=rf"profile: .*mine\.json: .*{message}.*writes it anew"):
        _plan(folder)


@pytest.mark.parametrize("name", DUMMIES)
def test_dummies_are_those_of_the_table(name):
    dummy, shape = DUMMIES[name], model_named(PREFIX + name)
    for value_bytes in VALUE_BYTES.values():
        own = shape.with_value_bytes(value_bytes).kv_bytes_per_token
        assert own == dummy.kv_bytes_per_token(value_bytes)
    layer = 2 * dummy.hidden * dummy.hidden * (1 + dummy.kv_heads / dummy.heads)
    layer += 3 * dummy.hidden * dummy.intermediate
    weights = dummy.layers * layer + 2 * dummy.vocabulary * dummy.hidden
    assert shape.parameters == pytest.approx(weights, rel=0.001)
