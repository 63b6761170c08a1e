"""The run kinds of the tuning panel through their public contract."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from experiments.check import load_manifest
from experiments.kinds import tuning_shapes
from experiments.kinds.base import KINDS, Outcome
from experiments.kinds.tuning_bench import FEWEST_CLEAN, interleaved, middle, undisturbed
from experiments.manifest import SIZES
from experiments.paths import MANIFESTS
from experiments.plan import make_plan
from policies.search.base import SEARCHES
from sim.streams import canonical_json
from tests.needs import need
from tests.tuning_experiments.synthetic import MINE
from tuning.operators import Conv2d, Gemm, Pair

NAMES = [name for name in KINDS.names() if name.startswith("tuning-") and "tuning-gpu-" not in name]
"""Kinds that measure this machine; those on simulated GPUs have tests of their own."""
GEMM = {"kind": "gemm", "m": 96, "n": 64, "k": 32}
CONV = {"kind": "conv2d", "height": 12, "width": 10, "in_channels": 6, "out_channels": 16}
POINTWISE = {**CONV, "in_channels": 16, "kernel": [1, 1], "padding": [0, 0]}
QUICK = {"trials": 2, "budget_s": 240.0, "samples": 7}


def run(kind: str, policy: str = "hardware_native", seed: int = 0, **fields: Any) -> Outcome:
    """Validate, resolve and run a configuration."""
    found = KINDS.get(kind)
    config = found.resolve(found.Config.model_validate(fields).model_dump(mode="json"))
    return found.run({**config, "policy": policy, "seed": seed})


def check(kind: str, outcome: Outcome) -> dict[str, Any]:
    """Return the metrics; all names are there, all numbers finite."""
    metrics: dict[str, Any] = dict(outcome.metrics)
    assert set(metrics) == set(KINDS.get(kind).metrics)
    assert all(math.isfinite(v) for v in metrics.values() if isinstance(v, float))
    for columns in outcome.tables.values():
        assert len({len(values) for values in columns.values()}) == 1
    assert canonical_json(metrics)
    return metrics


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_has_the_machine_to_itself_and_compares_searches(name: str) -> None:
    kind = KINDS.get(name)
    assert kind.exclusive
    assert kind.policies is SEARCHES
    assert "torch" in kind.needs


@pytest.mark.parametrize("name", MINE)
def test_manifests_are_measured_and_grow_with_their_size(name: str) -> None:
    manifest = load_manifest(MANIFESTS / "bolt" / f"{name}.yaml")
    assert (manifest.panel, manifest.promise, manifest.origin) == ("tuning", "L2", "measured")
    assert "(CPU)" in manifest.artefact
    counts = [len(make_plan(manifest, size).runs) for size in SIZES]
    assert counts == sorted(counts)
    seconds = [manifest.size(size).seconds for size in SIZES]
    assert seconds == sorted(seconds)


def test_all_quick_experiments_together_take_two_minutes() -> None:
    """A run that two of them share is done once."""
    seen: set[str] = set()
    seconds = 0.0
    for name in MINE:
        manifest = load_manifest(MANIFESTS / "bolt" / f"{name}.yaml")
        runs = {spec.id for spec in make_plan(manifest, "quick").runs}
        seconds += manifest.sizes.quick.seconds * len(runs - seen) / len(runs)
        seen |= runs
    assert seconds <= 120


def test_shapes_are_the_operators_they_describe() -> None:
    assert tuning_shapes.GemmShape(**GEMM).operator() == Gemm(
        96, 64, 32, epilogue=tuning_shapes.Epilogue.parse("bias+relu")
    )
    conv = tuning_shapes.ConvShape(**CONV, stride=[2, 1], epilogue="none").operator()
    assert conv == Conv2d(1, 12, 10, 6, 16, (3, 3), (2, 1), (1, 1))
    pair = tuning_shapes.PairConfig.model_validate({"first": CONV, "second": POINTWISE}).pair()
    assert isinstance(pair, Pair)


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("tuning-operator", {"operator": {**GEMM, "m": 0}}, "greater than or equal to 1"),
        ("tuning-operator", {"operator": {**GEMM, "epilogue": "bias+tanh"}}, "'tanh' is none of"),
        ("tuning-operator", {"operator": {**GEMM, "kind": "gem"}}, "tag"),
        ("tuning-operator", {"operator": {**CONV, "kernel": [99, 3]}}, "kernel"),
        ("tuning-operator", {"operator": {**CONV, "kernel": [3]}}, "at least 2 items"),
        ("tuning-operator", {"operator": {**GEMM, "m": 1 << 20, "n": 1 << 20, "k": 1 << 20},
                             "threads": 0}, "threads"),
        ("tuning-operator", {"operator": GEMM, "vendors": ["mkl"]}, "numpy"),
        ("tuning-operator", {"operator": GEMM, "budget_s": math.nan}, "finite"),
        ("tuning-operator", {"operator": GEMM, "trials": 0}, "trials"),
        ("tuning-pair", {"first": CONV, "second": {**POINTWISE, "in_channels": 8}}, "input"),
        ("tuning-pair", {"first": CONV, "second": {**CONV, "in_channels": 16}}, "1x1"),
        ("tuning-pair", {"first": GEMM, "second": CONV}, "kind of the first"),
        ("tuning-model", {"model": "resnet05"}, "did you mean 'resnet50'"),
        ("tuning-model", {"model": "resnet50", "image": 16}, "greater than or equal to 32"),
        ("tuning-codesign", {"model": "repvgg_a0", "activation": "tanh"}, "relu"),
        ("tuning-codesign", {"model": "repvgg_a0", "widths": [8, 8]}, "at least 5 items"),
        ("tuning-codesign", {"model": "resnet18", "widths": [8] * 5}, "are of RepVGG"),
        ("tuning-codesign", {"model": "resnet18", "deepen": True}, "are of RepVGG"),
        ("tuning-codesign", {"model": "repvgg_a0", "align": 16}, "align: rounds"),
        ("tuning-codesign", {"model": "repvgg_a0", "cache": "cold"}, "warm caches only"),
        ("tuning-model", {"model": "resnet50", "cache": "cold"}, "warm caches only"),
        ("tuning-epilogue", {"operator": GEMM, "cache": "cold"}, "warm caches only"),
    ],
)  # fmt: skip
def test_bad_configurations_are_refused(kind: str, fields: dict[str, Any], message: str) -> None:
    """Every slip has its own message."""
    with pytest.raises(ValidationError, match=message):
        KINDS.get(kind).Config.model_validate(fields)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5))
def test_functions_are_timed_in_turn(count: int, samples: int) -> None:
    order: list[str] = []
    calls = {str(i): (lambda i=i: order.append(str(i))) for i in range(count)}
    found = interleaved(calls, samples, least_s=0.0, warm_up=0)
    assert set(found) == set(calls)
    assert all(min(samples, FEWEST_CLEAN) <= len(values) <= samples for values in found.values())
    rounds = order[count:]  # one call each was for the number of repeats
    for start in range(0, len(rounds), count):
        assert sorted(rounds[start : start + count]) == sorted(calls)
    assert middle([3.0, 1.0, 2.0]) == 2.0


@given(st.lists(st.tuples(st.floats(1, 1e9), st.booleans()), min_size=1, max_size=12))
def test_disturbed_samples_count_only_where_there_are_no_others(
    taken: list[tuple[float, bool]],
) -> None:
    clean = [ns for ns, disturbed in taken if not disturbed]
    found = undisturbed(taken)
    assert found == (clean if len(clean) >= FEWEST_CLEAN else [ns for ns, _ in taken])
    assert found


def test_what_a_machine_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    row = replace(tuning_shapes.PROGRAMS["g++"], name="no-such-compiler", marker="")
    monkeypatch.setitem(tuning_shapes.PROGRAMS, "g++", row)
    monkeypatch.setattr(tuning_shapes.importlib.util, "find_spec", lambda name: None)
    assert tuning_shapes.lacking({}) == ("g++ (apt-get install g++)",)
    assert tuning_shapes.lacking({}, metaschedule=True)[-1] == "tvm"
    kind = KINDS.get("tuning-operator")
    config = kind.Config.model_validate({"operator": GEMM}).model_dump(mode="json")
    assert "tvm" not in kind.lacks({**config, "policy": "random"})
    assert "tvm" in kind.lacks({**config, "policy": "metaschedule"})
    assert "tvm" in kind.lacks({**config, "policy": "random", "rival_trials": 8})


# paper: bolt fig 1; bolt fig 8
@pytest.mark.extensive
@pytest.mark.parametrize("shape", [GEMM, {**CONV, "epilogue": "bias+silu"}])
@pytest.mark.parametrize("policy", ["hardware_native", "random", "model_pruned", "exhaustive"])
def test_an_operator_is_tuned_and_raced(shape: dict[str, Any], policy: str) -> None:
    need("torch")
    outcome = run("tuning-operator", policy, operator=shape, **QUICK)
    metrics = check("tuning-operator", outcome)
    assert 1 <= metrics["trials"] <= 2
    assert metrics["failed"] == 0
    assert (metrics["numpy_ns"] is None) == (shape["kind"] == "conv2d")
    assert metrics["torch_ns"] > 0
    assert metrics["onednn_ns"] > 0
    curve = outcome.tables["curve"]
    assert list(curve["seconds"]) == sorted(curve["seconds"])
    assert any(note.startswith("best: ") for note in outcome.notes)


@pytest.mark.extensive
def test_a_pair_is_decided() -> None:
    need("torch")
    second = {"kind": "gemm", "m": 96, "n": 16, "k": 64}
    metrics = check("tuning-pair", run("tuning-pair", first=GEMM, second=second, **QUICK))
    assert metrics["speedup_low"] <= metrics["speedup"] <= metrics["speedup_high"]
    assert metrics["fused"] == (metrics["speedup_low"] > 1)


@pytest.mark.extensive
def test_padding_is_decided() -> None:
    need("torch")
    metrics = check("tuning-padding", run("tuning-padding", operator=CONV, **QUICK))
    assert 0 < metrics["copy_share"] < 1
    assert metrics["padded"] == (metrics["speedup_low"] > 1)


@pytest.mark.extensive
@pytest.mark.parametrize("activation", ["relu", "gelu", "hardswish", "softplus"])
def test_a_fused_epilogue_computes_what_the_pass_does(activation: str) -> None:
    need("torch")
    shape = {"kind": "gemm", "m": 37, "n": 53, "k": 29, "epilogue": f"bias+{activation}"}
    metrics = check("tuning-epilogue", run("tuning-epilogue", operator=shape, **QUICK))
    assert metrics["unfused_ns"] > 0


# paper: bolt fig 10
@pytest.mark.extensive
def test_a_network_is_built_and_raced() -> None:
    need("torch")
    need("tvm")
    fields = {"model": "repvgg_a0", "image": 32, "trials": 1, "samples": 3, "pairs": False}
    metrics = check("tuning-codesign", run("tuning-codesign", **fields, padding=False))
    assert metrics["parameters_m"] == pytest.approx(8.31, abs=0.01)
    assert metrics["pairs_fused"] == metrics["padded"] == 0
    assert metrics["speedup_over_base"] > 0


@pytest.mark.extensive
def test_a_network_of_its_own_widths_has_both_baselines() -> None:
    need("torch")
    need("tvm")
    fields = {"model": "repvgg_a0", "image": 32, "trials": 1, "samples": 3, "pairs": False}
    narrow = {"widths": [6, 6, 10, 14, 30], "align": 4, "replay": False, "objects": "warm"}
    metrics = check("tuning-model", run("tuning-model", **fields, **narrow))
    assert metrics["epilogues_ms"] > 0
    for other in ("epilogues", "plain", "eager", "frozen"):
        low, middle_, high = (
            metrics[f"speedup_over_{other}{end}"] for end in ("_low", "", "_high")
        )
        assert 0 < low <= middle_ <= high
    assert metrics["plain_ms"] > 0
    assert metrics["frozen_ms"] > 0
    assert metrics["padded"] <= metrics["kernels"]


def test_a_pass_in_place_needs_float32(tmp_path: Path) -> None:
    from tuning.operators import Epilogue
    from tuning.templates.cpu.library import CpuTemplates
    from tuning.unfused import render_pass

    operator = Gemm(4, 4, 4, epilogue=Epilogue(("bias",), "bfloat16"))
    library = CpuTemplates(threads=1)
    candidate = library.native(operator)[0]
    with pytest.raises(ValueError, match="stores float32"):
        render_pass(operator, candidate)
    plain = replace(operator, epilogue=Epilogue(("bias", "residual", "relu")))
    assert "triptych_epilogue" in render_pass(plain, candidate).text


@pytest.fixture(scope="module")
def pass_object(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled pass; objects hold no shapes, so one serves all."""
    from tuning.compile import ObjectCache
    from tuning.templates.cpu.library import CpuTemplates
    from tuning.unfused import render_pass

    operator = _residual(16)
    candidate = CpuTemplates("generic", threads=1).native(operator)[0]
    cache = ObjectCache(tmp_path_factory.mktemp("objects"))
    made = cache.compile([render_pass(operator, candidate)])[0]
    assert made.path is not None, made.message
    return made.path


def _residual(columns: int) -> Gemm:
    return Gemm(5, columns, 3, epilogue=tuning_shapes.Epilogue(("bias", "residual", "relu")))


@given(st.integers(1, 70), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_the_pass_applies_bias_residual_and_activation(
    pass_object: Path, columns: int, threads: int
) -> None:
    from tuning.operators.reference import random_operands
    from tuning.unfused import EpiloguePass

    operator = _residual(columns)
    operands = random_operands(operator, columns)
    given_ = np.linspace(-2, 2, 5 * columns, dtype=np.float32).reshape(5, columns)
    output = given_.copy()
    EpiloguePass(pass_object, operator, operands, output, threads)()
    wanted = np.maximum(given_ + operands["bias"] + operands["residual"], 0)
    np.testing.assert_allclose(output, wanted, rtol=1e-6, atol=1e-6)
