"""The run kinds that read measurements, through their public contract."""

import math
from pathlib import Path

import numpy as np
import pytest

from experiments.check import load_manifest
from experiments.kinds.base import KINDS
from experiments.kinds.serving_replay import ReplayConfig
from experiments.kinds.serving_replay_measures import engine_of
from experiments.paths import MANIFESTS
from experiments.plan import make_plan
from experiments.reproduce import lacks_of
from policies.ordering.base import OneEnded
from serving.engine.run import simulate
from serving.estimates import oracle
from serving.pool import RequestPool, Workload
from serving.profiles.llmservingsim import read_profile
from serving.profiles.recorded_run import read_run
from serving.traces import jsonl
from serving.traces.catalog import digest
from tests.needs import need_data
from tests.serving.profile_files import write_dataset, write_dense, write_profile, write_run

REPLAY, STEP, ORDER = map(KINDS.get, ("serving-replay", "serving-step-model", "serving-order"))


def run(kind, seed=0, policy=None, **fields):
    """Validate, resolve and run a configuration."""
    config = kind.resolve(kind.Config.model_validate(fields).model_dump())
    return kind.run({**config, "policy": policy, "seed": seed})


@pytest.fixture
def parts(tmp_path):
    """Write a profile, a data set, and the run that the engine itself makes of them."""
    dataset = write_dataset(tmp_path / "requests.jsonl")
    profile = write_profile(tmp_path / "profile")
    trace, sha256 = jsonl.load(dataset), digest(dataset)
    start = trace.arrival_ns - trace.arrival_ns.min()
    times = np.array([start / 1e9] * 3)
    folder = write_run(tmp_path / "run", trace, times, sha256)
    given = {"profile": str(profile), "run": str(folder), "dataset": str(dataset)}
    engine = engine_of(ReplayConfig(**given), read_profile(profile), read_run(folder))
    pool = RequestPool.from_tokens(trace.tokens, 8, start)
    workload = Workload.of(pool, trace.output_tokens, "")
    in_order = OneEnded(np.argsort(start, kind="stable"))
    result = simulate(workload, oracle(workload), in_order, engine)
    assert result.totals.preemptions > 0
    times = np.array([start, result.first_token_ns, result.finish_ns]) / 1e9
    write_run(folder, trace, times, sha256)
    return given, trace, times, sha256


def test_a_replay_of_the_engines_own_run_has_no_error(parts):
    """What the engine recorded, the engine meets: reading, set-up and comparison lose nothing."""
    given, _, times, _ = parts
    outcome = run(REPLAY, **given)
    assert set(outcome.metrics) == set(REPLAY.metrics)
    errors = [v for k, v in outcome.metrics.items() if k.endswith("_s_error")]
    assert max(map(abs, errors)) < 1e-6
    assert outcome.metrics["makespan_s"] == pytest.approx(times[2].max())
    assert outcome.metrics["requests_done"] == times.shape[1]
    assert outcome.tables["requests"]["last_s"] == pytest.approx(times[2].tolist())
    assert "NVIDIA Test 1" in outcome.notes[0]


def test_a_slower_recording_shows_as_an_error(parts, tmp_path):
    """Twice the recorded times are an error of one half."""
    given, trace, times, sha256 = parts
    queued = np.full_like(times[0], times[0].min())
    slow = np.array([queued, times[1] * 2, times[2] * 2])
    folder = write_run(tmp_path / "slow", trace, slow, sha256)
    metrics = run(REPLAY, **given | {"run": str(folder), "arrivals": "trace"}).metrics
    assert metrics["makespan_s_error"] == pytest.approx(-0.5, abs=1e-6)
    assert metrics["throughput_tokens_s_error"] == pytest.approx(1.0, abs=1e-5)


def test_jitter_is_drawn_by_the_seed_and_keeps_the_order(parts):
    """Equal seeds repeat, others differ, and nobody overtakes."""
    given = parts[0] | {"jitter_s": 0.01}
    first, again, other = (run(REPLAY, seed, **given) for seed in (0, 0, 1))
    assert first.metrics == again.metrics != other.metrics
    queued = np.array(first.tables["requests"]["queued_s"])
    assert (np.diff(queued) >= 0).all()
    late = queued - np.array(first.tables["requests"]["recorded_queued_s"])
    assert 0 <= late.min() < late.max() <= 0.01


def test_parts_that_do_not_belong_together_are_refused(parts, tmp_path):
    """Another GPU, other requests, an engine that is not modelled: one message each."""
    given, trace, times, sha256 = parts
    other = write_profile(tmp_path / "other", gpu="NVIDIA Test 2")
    with pytest.raises(ValueError, match="of 'NVIDIA Test 2', the run of 'NVIDIA Test 1'"):
        run(REPLAY, **given | {"profile": str(other)})
    swapped = write_dataset(tmp_path / "swapped.jsonl", seed=1)
    with pytest.raises(ValueError, match="not the file with the recorded digest"):
        run(REPLAY, **given | {"dataset": str(swapped)})
    with pytest.raises(ValueError, match="no catalogued trace has the digest"):
        run(REPLAY, **given | {"dataset": None})
    folder = write_run(tmp_path / "short", jsonl.load(swapped), times, sha256)
    with pytest.raises(ValueError, match="are not those of the recorded requests"):
        run(REPLAY, **given | {"run": str(folder)})
    engine = {"max_num_seqs": 16, "max_num_batched_tokens": 256, "tensor_parallel_size": 2}
    folder = write_run(tmp_path / "two", trace, times, sha256, engine_kwargs=engine)
    with pytest.raises(ValueError, match=r"tensor_parallel_size.*2 is not modelled"):
        run(REPLAY, **given | {"run": str(folder)})
    with pytest.raises(ValueError, match="does not exist"):
        run(REPLAY, run="no/such/folder")


MALFORMED = {
    "times fall": ("requests.jsonl", '"queued_ts": 5', '"queued_ts": 9999', "must rise"),
    "no length": ("requests.jsonl", "input_toks", "input", "is missing"),
    "text": ("timeseries.csv", "0.5,1", "0.5,x", "no number from 0"),
    "time back": ("timeseries.csv", "1.5,", "0.1,", "time goes back"),
    "no blocks": ("meta.json", "num_gpu_blocks", "blocks", "is missing"),
    "half a block": ("meta.json", '"num_gpu_blocks": 60', '"num_gpu_blocks": 6.5', "whole number"),
    "no start": ("meta.json", "2023-11-14T22:13:20Z", "yesterday", "no time like"),
    "cut off": ("meta.json", "}", "", "no JSON"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_runs_end_in_one_message(parts, name):
    """The message names the file and what is wrong."""
    given = parts[0]
    file, old, new, message = MALFORMED[name]
    path = Path(given["run"]) / file
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_run(path.parent)


@pytest.mark.parametrize("name", ["vllm-rtx4090", "table1"])
def test_absent_data_are_planned_for_and_told(name, tmp_path, monkeypatch):
    """Planning succeeds, and says what is missing and where it is published."""
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path))
    manifest = load_manifest(MANIFESTS / "blendserve" / f"{name}.yaml")
    lacks = lacks_of(make_plan(manifest, "quick"))
    assert lacks
    assert all("github.com" in text and str(tmp_path) in text for text in lacks)


def test_the_recorded_vllm_run_is_met():
    """Calibrated by kernels alone: 3 % in makespan and throughput, 5 % in latency."""
    need_data("traces/llmservingsim")
    metrics = run(REPLAY).metrics
    assert metrics["makespan_s"] / (1 + metrics["makespan_s_error"]) == pytest.approx(
        183.57, abs=0.01
    )
    for name in ("makespan_s", "throughput_tokens_s"):
        assert abs(metrics[f"{name}_error"]) < 0.03
    for name in ("latency_mean_s", "latency_p90_s", "ttft_mean_s", "tpot_mean_s"):
        assert abs(metrics[f"{name}_error"]) < 0.05
    assert metrics["running_error"] < 2
    assert metrics["waiting_error"] < 3
    assert metrics["kv_share_error"] < 0.03


def test_table_1_is_predicted():
    """Each cell of the measured column within 9 %."""
    need_data("traces/vidur_profiling")
    for batch, gemm, attention in ((512, 1.087, 1.317), (768, 1.537, 1.913), (1024, 2.005, 2.515)):
        metrics = run(STEP, batch=batch).metrics
        assert set(metrics) == set(STEP.metrics)
        assert metrics["gemm_ms"] == pytest.approx(gemm, rel=0.09)
        assert metrics["attention_ms"] == pytest.approx(attention, rel=0.09)


MIX = {
    "workload": {"kind": "mix", "density": 1.2, "sharing": 0.3, "requests": 600},
    "memory": {"kv_bytes": 2_000_000_000},
    "rates": "measured",
}


def test_orders_run_on_a_measured_profile(tmp_path):
    """Shares of the optimum stay shares, the digest is pinned, a changed file is refused."""
    path = write_dense(tmp_path / "mlp.csv")
    given = MIX | {"profile": str(path)}
    config = ORDER.resolve(ORDER.Config.model_validate(given).model_dump())
    assert config["profile_sha256"] == digest(path)
    metrics = ORDER.run({**config, "policy": "blendserve", "seed": 0}).metrics
    assert all(math.isfinite(value) for value in metrics.values())
    assert 0 < metrics["share_of_ideal_optimum"] <= metrics["share_of_practical_optimum"] <= 1
    path.write_text(path.read_text().replace("0.11000", "0.12000"))
    with pytest.raises(ValueError, match="has changed"):
        ORDER.run({**config, "policy": "blendserve", "seed": 0})


def test_profiled_rates_stand_in_for_an_absent_profile(tmp_path, monkeypatch):
    """The fallback is told in the notes and has another identity than the measured run."""
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path))
    given = MIX | {"profile": "vidur-a100-llama-3-8b"}
    config = ORDER.resolve(ORDER.Config.model_validate(given).model_dump())
    assert (config["rates"], config["profile_sha256"]) == ("profiled", None)
    notes = ORDER.run({**config, "policy": "arrival", "seed": 0}).notes
    assert any("profiled rates instead of measured" in note and "vidur" in note for note in notes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "measured rates need one, such as vidur"),
        ({"profile": "vidur-a100-llama-3-70b"}, "is of llama-3-70b on a100-80, not of llama-3-8b"),
        ({"profile": "x", "rates": "peak"}, "data-sheet rates read none"),
    ],
)
def test_profiles_that_do_not_fit_are_refused(changes, message):
    """Every slip has its own message."""
    with pytest.raises(ValueError, match=message):
        ORDER.Config.model_validate(MIX | changes)
