"""Kinds of run on real vLLM, small; and their figures, drawn from made numbers."""

from __future__ import annotations

import importlib

import pytest

from experiments.check import load_manifest
from experiments.claims import check_claims
from experiments.figures.render import render
from experiments.kinds.base import KINDS, Outcome
from experiments.kinds.serving_vllm_time import JUDGED as NAMED
from experiments.paths import MANIFESTS
from experiments.plan import make_plan
from experiments.store import Store
from experiments.tables import collect
from serving.vllm.calibration import TERMS
from serving.vllm.workloads import JUDGED
from tests.needs import need

NAMES = ("vllm-parity", "vllm-orders", "vllm-time")


def _made(name, spec):
    """Return metrics such as a run could have; of a random order, half the hits."""
    metrics = dict.fromkeys(KINDS.get(spec.kind).metrics, 1.0)
    if name == "vllm-parity":
        metrics |= {"runs": 6, "equal_runs": 6, "steps": 900, "equal_steps": 900, "preemptions": 7}
        return metrics | {"hit_tokens": 4000}
    if name == "vllm-orders":
        lost = spec.config["policy"] == "shuffled" and spec.config["kv_tokens"] < 10_000
        metrics |= {"hit_tokens": 1000 if lost else 2000, "hit_blocks_error": 0}
        seconds = 9.0 - spec.config["repeat"]
        return metrics | {"sharing_kept": 0.5 if lost else 1.0, "cpu_s": seconds}
    for pool in NAMED:
        metrics |= {f"{pool}_ratio": 1.02, f"{pool}_ratio_low": 0.95, f"{pool}_ratio_high": 1.1}
    return metrics


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Name -> results at standard size, all runs there."""
    found = {}
    for name in NAMES:
        manifest = load_manifest(MANIFESTS / "blendserve" / f"{name}.yaml")
        plan, store = make_plan(manifest, "standard"), Store(tmp_path_factory.mktemp(name))
        for spec in plan.runs:
            about = {"id": spec.id, "fingerprint": spec.fingerprint, "notes": []}
            store.put(spec.id, Outcome(_made(name, spec)), about)
        found[name] = collect(plan, store)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_figures_are_drawn_whole(made, name, tmp_path):
    drawn = render(made[name], tmp_path)
    assert not drawn.problem
    assert not drawn.missing
    assert drawn.csv is not None


@pytest.mark.parametrize("name", NAMES)
def test_claims_hold_on_such_numbers(made, name):
    assert {check.verdict for check in check_claims(made[name])} == {"reproduced"}


def test_points_are_those_of_the_table(made):
    """Counts are summed, bars are means over turns, ends of lines are the repeats' range."""
    points = {n: _module(n).points(made[n]) for n in NAMES}
    cells = points["vllm-parity"]
    assert len(cells) == 9
    assert set(cells["runs"]) == {6}
    bars = points["vllm-orders"]
    kept = bars.loc[(bars["panel"] == "sharing_kept") & (bars["policy"] == "shuffled")]
    assert kept["mean"].tolist() == [0.5, 1.0]
    assert kept["n"].tolist() == [5, 1]
    dots = points["vllm-time"]
    assert len(dots) == 3 * len(JUDGED)
    assert (dots["low"] < dots["ratio"]).all()


def _module(name):
    return importlib.import_module(f"experiments.figures.blendserve_{name.replace('-', '_')}")


def test_turns_are_interleaved_and_the_recorded_size_is_large_enough():
    """Every order is timed once before any is timed again; 200 runs at least are compared."""
    manifest = load_manifest(MANIFESTS / "blendserve" / "vllm-orders.yaml")
    tight = [s.config for s in make_plan(manifest, "standard").runs if s.config["kv_tokens"] < 5000]
    turns = [turn for turn in range(5) for _ in manifest.policies]
    assert [config["repeat"] for config in tight] == turns
    parity = load_manifest(MANIFESTS / "blendserve" / "vllm-parity.yaml")
    assert sum(spec.config["cases"] for spec in make_plan(parity, "standard").runs) >= 200


def test_names_of_pools_and_terms_are_those_of_the_panel():
    assert NAMED == JUDGED
    metrics = KINDS.get("serving-vllm-time").metrics
    assert {f"{term}_ns" for term in TERMS} <= set(metrics)


@pytest.mark.extensive
def test_a_parity_run_is_equal_on_vllm():
    need("vllm")
    config = {"cases": 4, "tightness": "tight", "admission": "asked", "policy": None, "seed": 5}
    outcome = KINDS.get("serving-vllm-parity").run(config)
    assert set(outcome.metrics) == set(KINDS.get("serving-vllm-parity").metrics)
    assert outcome.metrics["equal_runs"] == outcome.metrics["runs"] == 4
    assert outcome.metrics["equal_steps"] == outcome.metrics["steps"] > 100
    assert outcome.notes[0].startswith("vLLM 0.32")


@pytest.mark.extensive
def test_an_order_keeps_on_vllm_what_was_simulated():
    """BlendServe, which is asked and samples lengths first, on a tiny model."""
    need("vllm")
    kind = KINDS.get("serving-vllm-order")
    wanted = {"model": "tiny", "requests": 24, "groups": 4, "kv_tokens": 2048}
    config = kind.Config(**wanted, estimate="sample").model_dump()
    outcome = kind.run(config | {"policy": "blendserve", "seed": 1})
    assert set(outcome.metrics) == set(kind.metrics)
    assert outcome.metrics["equal_steps_share"] == 1.0
    assert outcome.metrics["hit_blocks_error"] == outcome.metrics["steps_error"] == 0
    assert outcome.metrics["hit_tokens"] > 0
    assert outcome.metrics["cpu_s"] > 0
