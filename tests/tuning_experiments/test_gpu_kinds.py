"""The run kinds on simulated GPUs through their public contract."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from experiments.check import load_manifest
from experiments.claims import check_claims, holds
from experiments.kinds.base import KINDS, Outcome
from experiments.manifest import SIZES
from experiments.paths import MANIFESTS
from experiments.plan import make_plan
from experiments.reproduce import lacks_of
from experiments.store import Store
from experiments.tables import collect
from sim.streams import canonical_json
from tests.needs import need
from tests.tuning.test_cutlass_measured import text
from tests.tuning_experiments.synthetic import RECORDED, SIMULATED, results_of
from tuning.operators import Epilogue, Gemm
from tuning.templates.cutlass.candidates import native
from tuning.templates.cutlass.params import Kernel

GEMM = {"kind": "gemm", "m": 1280, "n": 768, "k": 768}
NAMES = [name for name in KINDS.names() if name.startswith("tuning-gpu-")]


def run(kind: str, seed: int = 0, **fields: Any) -> Outcome:
    """Validate, resolve and run a configuration."""
    found = KINDS.get(kind)
    config = found.resolve(found.Config.model_validate(fields).model_dump(mode="json"))
    return found.run({**config, "policy": None, "seed": seed})


def check(kind: str, outcome: Outcome) -> dict[str, Any]:
    """Return the metrics; all names are there, all numbers finite."""
    metrics: dict[str, Any] = dict(outcome.metrics)
    assert set(metrics) == set(KINDS.get(kind).metrics)
    assert all(math.isfinite(v) for v in metrics.values() if isinstance(v, float))
    assert canonical_json(metrics)
    return metrics


@pytest.mark.parametrize("name", NAMES)
def test_kinds_on_simulated_gpus_need_no_gpu_and_no_quiet_machine(name: str) -> None:
    kind = KINDS.get(name)
    assert not getattr(kind, "exclusive", False)
    assert kind.policies is None
    assert set(kind.needs) <= {"torch"}


@pytest.mark.parametrize("gpu", ["t4", "a100-80", "h200"])
def test_an_operator_is_compared_with_itself_in_other_ways(gpu: str) -> None:
    outcome = run("tuning-gpu-operator", gpu=gpu, operator=GEMM, exhaustive=True)
    found = check("tuning-gpu-operator", outcome)
    assert found["speedup"] == pytest.approx(found["unfused_us"] / found["ours_us"])
    assert found["cuda_cores_share"] == pytest.approx(1 / found["speedup_over_cuda_cores"])
    assert 0 < found["peak_share"] < 1
    assert found["whole"] > found["native"]
    assert found["regret"] >= 1
    assert "us" in outcome.notes[0]
    quick = check("tuning-gpu-operator", run("tuning-gpu-operator", gpu=gpu, operator=GEMM))
    assert quick["whole"] is quick["whole_us"] is quick["regret"] is None
    assert quick["ours_us"] == found["ours_us"]


def test_seeds_move_numbers_a_little_and_equal_seeds_do_not() -> None:
    first, again, other = (
        run("tuning-gpu-operator", seed, gpu="t4", operator=GEMM).metrics for seed in (1, 1, 2)
    )
    assert first == again
    assert first["ours_us"] != other["ours_us"]
    assert 0.7 < float(str(first["ours_us"])) / float(str(other["ours_us"])) < 1.4


def test_pairs_and_padding_answer_with_what_they_decided() -> None:
    first, second = {**GEMM, "m": 16384, "n": 64, "k": 256}, {**GEMM, "m": 16384, "n": 16, "k": 64}
    first["epilogue"] = second["epilogue"] = "relu"
    pair = check("tuning-gpu-pair", run("tuning-gpu-pair", first=first, second=second))
    least = min(pair["register_us"], pair["shared_us"])
    assert pair["speedup"] == pytest.approx(pair["unfused_us"] / least)
    assert pair["fused"] == int(pair["speedup"] > 1)
    wide = {**second, "n": 512}
    none = check("tuning-gpu-pair", run("tuning-gpu-pair", first=first, second=wide))
    assert none["speedup"] is none["register_us"] is none["shared_us"] is None
    assert none["fused"] == 0
    odd = {**GEMM, "k": 766}
    padded = check("tuning-gpu-padding", run("tuning-gpu-padding", operator=odd))
    assert padded["access"] == 2
    assert padded["kernel_speedup"] >= padded["speedup"]
    assert padded["padded"] == int(padded["speedup"] > 1)


def test_a_network_adds_up_its_products() -> None:
    need("torch")
    small = {"model": "repvgg_a0", "image": 64, "batch": 4}
    plain = check("tuning-gpu-network", run("tuning-gpu-network", **small))
    assert plain["speed_over_plain"] == 1.0
    assert plain["ours_ms"] <= plain["apart_ms"] <= plain["unfused_ms"]
    assert plain["images_s"] == pytest.approx(4e3 / plain["ours_ms"])
    deep = check("tuning-gpu-network", run("tuning-gpu-network", **small, deepen=True))
    assert deep["gflop"] > plain["gflop"]
    assert deep["speed_over_plain"] == pytest.approx(plain["ours_ms"] / deep["ours_ms"])


def test_published_times_are_compared_by_name() -> None:
    found = check("tuning-gpu-published", run("tuning-gpu-published", time="t4-pair-fused"))
    assert found["ratio"] == pytest.approx(found["simulated_us"] / found["published_us"])
    assert found["error"] == max(found["ratio"], 1 / found["ratio"])
    assert found["published_us"] == pytest.approx(1260.35)


def test_the_pruner_reads_the_file_that_a_user_points_to(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(text({}, {"stages": 4, "Runtime": 0.2}, {"Status": "failed"}), "utf-8")
    found = check("tuning-gpu-pruner", run("tuning-gpu-pruner", gpu="rtx3070", file=str(file)))
    assert (found["operators"], found["rows"], found["skipped"]) == (1, 2, 1)
    assert found["regret_3"] == found["regret_8"] == 1.0
    kind = KINDS.get("tuning-gpu-pruner")
    config = {"gpu": "rtx3070", "file": str(file)}
    settled = kind.resolve(kind.Config.model_validate(config).model_dump(mode="json"))
    assert kind.lacks(settled) == ()
    file.write_text(text({}), "utf-8")
    with pytest.raises(ValueError, match="digest"):
        kind.run({**settled, "policy": None, "seed": 0})


def test_absent_measurements_are_named_with_where_they_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path))
    kind = KINDS.get("tuning-gpu-pruner")
    config = kind.Config.model_validate({"file": "resnet50-fp16.csv"}).model_dump(mode="json")
    (message,) = kind.lacks(kind.resolve(config))
    assert "github.com/masahi/tvm-cutlass-eval" in message
    assert str(tmp_path) in message


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("tuning-gpu-operator", {"gpu": "k80", "operator": GEMM}, "gpu"),
        ("tuning-gpu-operator", {"gpu": "t4", "operator": {**GEMM, "m": 0}}, "m"),
        ("tuning-gpu-operator", {"gpu": "t4"}, "operator"),
        ("tuning-gpu-pair", {"first": GEMM, "second": {**GEMM, "k": 5}}, "input"),
        ("tuning-gpu-network", {"model": "alexnet"}, "model"),
        ("tuning-gpu-network", {"model": "vgg16", "deepen": True}, "deepen"),
        ("tuning-gpu-published", {"time": "t5"}, "published"),
        ("tuning-gpu-pruner", {"file": ""}, "file"),
    ],
)
def test_bad_configurations_are_refused_by_name(
    kind: str, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        KINDS.get(kind).Config.model_validate(fields)


def test_types_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(ValueError, match="int8 is not summed in float32"):
        run("tuning-gpu-operator", gpu="a100-80", element="int8", operator=GEMM)


@pytest.mark.parametrize("name", [*SIMULATED, *RECORDED])
def test_every_claim_of_a_manifest_has_runs_that_it_speaks_of(name: str) -> None:
    manifest = load_manifest(MANIFESTS / "bolt" / f"{name}.yaml")
    plan = make_plan(manifest, "standard", {})
    for claim in manifest.claims:
        spoken = [s for s in plan.runs if holds(s.point, s.config, claim.statistic.where)]
        assert spoken, claim.id
        assert claim.metric in KINDS.get(manifest.kind).metrics


@pytest.mark.parametrize("name", SIMULATED)
def test_manifests_say_that_they_are_simulated_and_grow_with_their_size(name: str) -> None:
    manifest = load_manifest(MANIFESTS / "bolt" / f"{name}.yaml")
    assert (manifest.panel, manifest.promise, manifest.origin) == ("tuning", "L1", "simulated")
    assert "simulated" in manifest.title or "simulator" in manifest.title
    counts = [len(make_plan(manifest, size).runs) for size in SIZES]
    assert counts == sorted(counts)


def test_all_quick_simulations_together_take_two_minutes() -> None:
    manifests = [load_manifest(MANIFESTS / "bolt" / f"{name}.yaml") for name in SIMULATED]
    assert sum(manifest.sizes.quick.seconds for manifest in manifests) <= 120


def test_the_papers_values_stand_at_the_groups_that_they_are_of(tmp_path: Path) -> None:
    from experiments.figures.tuning_gpu import paper_groups

    def label(config: dict[str, Any]) -> str:
        return str(config["first"]["m"])

    found = paper_groups(results_of("table1", tmp_path), "speedup", label)
    assert [(value, groups) for value, _, groups in found] == [
        (1.24, ("2464",)),
        (1.34, ("16384",)),
        (1.28, ("32768",)),
        (1.46, ("128320",)),
    ]
    assert {mark for _, mark, _ in found} == {"remembered"}


def _folder(path: Path) -> list[Kernel]:
    """Write a plan and results as the exported script leaves them; return the kernels."""
    operator = Gemm(1280, 768, 768, epilogue=Epilogue(("bias", "relu")))
    kernels = native(operator, "sm_90a", 132)[:3]
    candidates = [
        {"name": f"k{place}", "candidate": kernel.to_candidate().to_dict()}
        for place, kernel in enumerate(kernels)
    ]
    problem = {"id": "p", "operator": operator.to_dict(), "candidates": candidates}
    plan = {"schema": 1, "version": "1", "problems": [{**problem, "rivals": ["vendor"]}]}
    rows: list[dict[str, Any]] = [
        {"problem": "", "name": "", "status": "machine", "gpu": "NVIDIA H200"},
        {"problem": "p", "name": "k0", "status": "ok", "median_ns": 9000.0, "samples": 9},
        {"problem": "p", "name": "k1", "status": "ok", "median_ns": 8000.0, "samples": 9},
        {"problem": "p", "name": "k2", "status": "wrong", "message": "off by 3"},
        {"problem": "p", "name": "rival:vendor", "status": "ok", "median_ns": 10000.0},
    ]
    path.mkdir()
    (path / "plan.json").write_text(json.dumps(plan), "utf-8")
    lines = "\n".join(json.dumps(row) for row in rows)
    (path / "measurements.jsonl").write_text(lines + "\n", "utf-8")
    return kernels


def test_measurements_of_a_gpu_elsewhere_are_read_and_compared(tmp_path: Path) -> None:
    assert len(_folder(tmp_path / "h200")) == 3
    fields: dict[str, Any] = {"gpu": "h200", "folder": str(tmp_path / "h200"), "operator": GEMM}
    found = check("tuning-gpu-measured", run("tuning-gpu-measured", 0, **fields))
    assert (found["ours_us"], found["vendor_us"]) == (8.0, 10.0)
    assert found["speedup_over_vendor"] == 1.25
    assert found["speedup_over_cublaslt"] is None
    assert (found["measured"], found["failed"]) == (2, 1)
    assert found["regret_3"] == 1.0
    assert found["simulated_us"] > 0
    with pytest.raises(ValueError, match="no time for"):
        run("tuning-gpu-measured", 0, **{**fields, "operator": {**GEMM, "m": 64}})


def test_without_measurements_of_a_gpu_claims_need_hardware(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path))
    kind = KINDS.get("tuning-gpu-measured")
    config = {"gpu": "h200", "folder": "h200", "operator": GEMM}
    settled = kind.resolve(kind.Config.model_validate(config).model_dump(mode="json"))
    assert settled["sha256"] is None
    gpu, message = kind.lacks(settled)
    assert gpu == "gpu"
    assert "tuning.templates.cutlass.export" in message
    manifest = load_manifest(MANIFESTS / "bolt" / "h200-gemm.yaml")
    plan = make_plan(manifest, "standard", {})
    checks = check_claims(collect(plan, Store(tmp_path / "store")), lacks_of(plan))
    assert {found.verdict for found in checks} == {"needs_hardware"}
