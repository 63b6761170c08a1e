"""Readers of what was measured on a GPU, and the kinds of run that judge models by it."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.check import load_manifest
from experiments.claims import check_claims
from experiments.figures.render import render
from experiments.kinds import serving_overlap as kind_module
from experiments.kinds.base import KINDS
from experiments.paths import MANIFESTS
from experiments.plan import make_plan
from experiments.reproduce import lacks_of
from experiments.store import Store
from experiments.tables import collect
from serving.overlap import surface
from serving.overlap.engine_runs import SIMULATED, read_runs
from serving.overlap.on_gpu.decoder import MODES
from serving.overlap.surface import (
    Points,
    best_partial,
    errors_of,
    hidden,
    interval,
    predicted,
    published,
    read_points,
)
from sim.gpu.overlap import Interference, Max, Partial, Sum

H = 0.4


def _row(rng, c, m, repeats=5, **changes):
    """Return a made row: a fraction H is hidden, with 1 % of noise; equal priorities cost more."""

    def noisy(ms):
        return (ms * rng.normal(1.0, 0.01, repeats)).tolist()

    both = max(c, m) + (1 - H) * min(c, m)
    row = {"format": "triptych-overlap", "version": 1, "device": "G", "driver": "1", "torch": "2.6"}
    row |= {"dry": False, "compute_ms": noisy(c), "memory_ms": noisy(m)}
    return row | {"both_ms": {"equal": noisy(1.2 * both), "memory-first": noisy(both)}} | changes


def _write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _rows(n=60):
    rng = np.random.default_rng(1)
    ratios = np.exp(rng.uniform(-2, 2, n))
    return [
        _row(rng, float(c), float(c * r)) for c, r in zip(rng.uniform(1, 9, n), ratios, strict=True)
    ]


def test_what_was_hidden_is_found_again(tmp_path):
    points = read_points(_write(tmp_path / "o.jsonl", _rows()))
    assert points.compute.shape == (60, 5)
    assert best_partial(*points.medians()).h == pytest.approx(H, abs=0.02)
    rng = np.random.default_rng(2)
    for region in range(3):
        value, low, high = interval(points, points.region() == region, rng)
        assert low < value < high
        assert low - 0.02 < H < high + 0.02
    errors = {name: np.median(np.abs(e)) for name, e in errors_of(points).items()}
    assert errors["partial_fitted"] < 0.02 < errors["partial_half"] + 0.02
    assert errors["sum"] > 0.05 < errors["max"]
    slower = read_points(tmp_path / "o.jsonl", "equal")
    assert (slower.medians()[2] > points.medians()[2]).mean() > 0.9


@settings(deadline=None, max_examples=30)
@given(st.floats(0, 1), st.floats(0.01, 100), st.floats(0.01, 100))
def test_hidden_fraction_is_the_h_of_partial(h, c, m):
    """Bounds too: nothing is hidden by sum, all by max, and NanoFlow's table lies between."""
    one = (np.array([c]), np.array([m]))
    assert hidden(*one, predicted(Partial(h), *one))[0] == pytest.approx(h, abs=1e-6)
    assert hidden(*one, predicted(Sum(), *one))[0] == pytest.approx(0, abs=1e-6)
    assert hidden(*one, predicted(Max(), *one))[0] == pytest.approx(1, abs=1e-6)
    assert -1e-6 <= hidden(*one, predicted(Interference(), *one))[0] <= 1 + 1e-6


def test_published_points_hide_half_behind_long_gemms():
    """1 - R / P at R = 0.1 and 0.4; models are judged on ratios that they were not fitted to."""
    points = published(np.random.default_rng(3))
    h = hidden(*points.medians())
    assert h[points.region() == 0] == pytest.approx(0.5)
    assert h.max() < 0.7
    errors = errors_of(points)
    assert np.abs(errors["interference"]).max() < 1e-12
    assert np.median(np.abs(errors["surface"])) < 0.03


def test_models_are_judged_out_of_sample(monkeypatch):
    """A model that knows its own points by heart is not better on the others."""
    rng = np.random.default_rng(4)
    c, m = rng.uniform(1, 5, 40), rng.uniform(1, 5, 40)
    both = np.maximum(c, m) + rng.uniform(0, 1, 40) * np.minimum(c, m)
    points = Points(c[:, None], m[:, None], both[:, None], "noise")
    seen = []
    fit = surface.Surface.fitted
    monkeypatch.setattr(surface.Surface, "fitted", lambda *a: seen.append(a[0]) or fit(*a))
    errors_of(points)
    assert [len(s) for s in seen] == [20, 20]
    assert not set(seen[0]) & set(seen[1])
    with pytest.raises(ValueError, match="11 points are too few"):
        errors_of(Points(c[:11, None], m[:11, None], both[:11, None], "few"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dry": True}, "line 2: dry"),
        ({"compute_ms": [1.0, float("nan"), 1.0, 1.0, 1.0]}, "line 2: compute_ms must be a list"),
        ({"memory_ms": [0.0] * 5}, "line 2: memory_ms must be a list of positive"),
        ({"memory_ms": "1"}, "line 2: memory_ms"),
        ({"memory_ms": [1.0]}, "as many repeats"),
        ({"both_ms": {"equal": [1.0] * 5}}, "both_ms must hold equal, memory-first"),
        ({"device": "H"}, "device: one file is of one GPU"),
        ({"version": 2}, "line 2: no row of triptych-overlap 1"),
    ],
)
def test_damaged_measurements_are_refused(tmp_path, changes, message):
    rng = np.random.default_rng(0)
    path = _write(tmp_path / "o.jsonl", [_row(rng, 1.0, 1.0), _row(rng, 1.0, 1.0, **changes)])
    with pytest.raises(ValueError, match=message):
        read_points(path)


def test_empty_files_and_unknown_priorities_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no measured point"):
        read_points(tmp_path / "none.jsonl")
    with pytest.raises(ValueError, match="priority must be one of best, equal"):
        read_points(tmp_path / "none.jsonl", "first")


# -- runs of the small engine -----------------------------------------------------------------


def _engine_rows(gain=1.3):
    """Return rows of three orders: BlendServe's overlapped runs are faster by `gain`."""
    rng, rows = np.random.default_rng(5), []
    for repeat in range(5):
        for order in ("shuffled", "prefix_dfs", "blendserve"):
            for mode in MODES:
                each = {"sequential": 10.0, "split": 11.5, "overlapped": 9.8}[mode]
                each /= gain if (order, mode) == ("blendserve", "overlapped") else 1.0
                for first, count in ((0, 6), (6, 4)):
                    ms = (each * rng.normal(1, 0.005, count)).tolist()
                    told = {"sum": 8.0 * count, "half": 7.0 * count, "max": 6.0 * count}
                    row = {"format": "triptych-gpu-engine", "version": 1, "device": "G"}
                    row |= {"driver": "1", "torch": "2.6", "dry": False, "model": "llama-3-8b"}
                    row |= {"layers": 8, "attention": "triton", "segment": 6, "order": order}
                    row |= {"mode": mode, "repeat": repeat, "first": first, "steps": 10}
                    row |= {"tokens": 5000, "step_ms": ms, "host_ms": [1.0] * count}
                    rows.append(row | {"simulated_ms": told, "schedule": "0"})
    return rows


def test_whole_runs_are_read_and_begun_ones_left_out(tmp_path):
    rows = _engine_rows()
    runs = read_runs(_write(tmp_path / "e.jsonl", rows[:-1]))
    assert len(runs) == 5 * 9 - 1
    run = runs["prefix_dfs", "sequential", 0]
    assert (run.steps, run.tokens, run.launch_bound) == (10, 5000, 0.0)
    assert run.seconds == pytest.approx(0.1, rel=0.02)
    assert run.simulated_s == {"sum": 0.08, "half": 0.07, "max": 0.06}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dry": True}, "dry"),
        ({"layers": 4}, "layers: one file holds one"),
        ({"mode": "quick"}, "order and mode"),
        ({"first": -1}, "first must be a whole number"),
        ({"step_ms": [float("inf")]}, "step_ms must be positive, finite"),
        ({"host_ms": []}, "host_ms must be positive"),
        ({"host_ms": [1.0]}, "of the same steps"),
        ({"simulated_ms": {"sum": 1.0}}, "simulated_ms must hold sum, half, max"),
    ],
)
def test_damaged_runs_are_refused(tmp_path, changes, message):
    rows = _engine_rows()[:2]
    with pytest.raises(ValueError, match=message):
        read_runs(_write(tmp_path / "e.jsonl", [rows[0], rows[1] | changes]))


# -- kinds ------------------------------------------------------------------------------------

FILES = {"overlap-gpu": "gpu/overlap.jsonl", "gpu-engine": "gpu/engine.jsonl"}


def _plan(name, size="quick"):
    return make_plan(load_manifest(MANIFESTS / "blendserve" / f"{name}.yaml"), size)


def _done(name, folder):
    """Run every run of an experiment, and return its results."""
    plan, store = _plan(name), Store(folder)
    for spec in plan.runs:
        outcome = KINDS.get(spec.kind).run(spec.config)
        assert set(outcome.metrics) == set(KINDS.get(spec.kind).metrics)
        store.put(spec.id, outcome, {"id": spec.id, "fingerprint": spec.fingerprint, "notes": []})
    return collect(plan, store)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with both measurements, made."""
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path / "data"))
    _write(tmp_path / "data" / FILES["overlap-gpu"], _rows(120))
    _write(tmp_path / "data" / FILES["gpu-engine"], _engine_rows())
    return tmp_path / "data"


@pytest.mark.parametrize("name", ["overlap-surface", *FILES])
def test_experiments_run_and_are_drawn(name, data, tmp_path):
    results = _done(name, tmp_path / "store")
    drawn = render(results, tmp_path / "figures")
    assert not drawn.problem
    assert not drawn.missing
    assert drawn.csv is not None
    assert importlib.import_module(f"experiments.figures.blendserve_{name.replace('-', '_')}")
    verdicts = {check.claim.id: check.verdict for check in check_claims(results)}
    assert "not_run" not in verdicts.values()
    if name == "gpu-engine":
        assert verdicts["gain_over_dfs"] == "deviates"  # made to gain 1.3
        assert verdicts["gain_in_sequence"] == verdicts["nano_batches"] == "reproduced"


@pytest.mark.parametrize("name", FILES)
def test_without_a_measurement_claims_need_hardware(name, tmp_path, monkeypatch):
    """Where there is a driver, what is lacking is the measurement alone."""
    monkeypatch.setenv("TRIPTYCH_DATA", str(tmp_path))
    monkeypatch.setattr("experiments.kinds.serving_measured.DEVICE", tmp_path / "none")
    plan = _plan(name)
    lacks = lacks_of(plan)
    assert lacks[0] == "gpu"
    assert "python -m on_gpu" in lacks[1]
    empty = collect(plan, Store(tmp_path / "store"))
    assert {check.verdict for check in check_claims(empty, lacks)} == {"needs_hardware"}
    monkeypatch.setattr("experiments.kinds.serving_measured.DEVICE", tmp_path)
    (message,) = lacks_of(_plan(name))
    assert "on_gpu" in message
    assert {c.verdict for c in check_claims(empty, lacks_of(plan))} == {"not_run"}


def test_a_run_belongs_to_the_content_of_its_file(data):
    """Another content is another run; a pinned digest stays without the file, and is held to."""
    before = {spec.id for spec in _plan("overlap-gpu").runs}
    digest = _plan("overlap-gpu").runs[0].config["sha256"]
    resolve = KINDS.get("serving-overlap").resolve
    config = _plan("overlap-gpu").runs[0].config | {"sha256": digest}
    path = data / FILES["overlap-gpu"]
    _write(path, _rows(100))
    assert not before & {spec.id for spec in _plan("overlap-gpu").runs}
    with pytest.raises(ValueError, match=r"sha256: .* has another digest; leave it out"):
        resolve(config)
    with pytest.raises(ValueError, match="has changed"):
        KINDS.get("serving-overlap").run(config)
    path.unlink()
    assert resolve(config) == config
    with pytest.raises(ValueError, match=r"file: .* does not exist"):
        KINDS.get("serving-overlap").run(config)


def test_an_order_that_was_not_measured_is_named(data):
    spec = _plan("gpu-engine").runs[0]
    with pytest.raises(ValueError, match=r"no whole run .*'lpm'.* its orders: blendserve, prefix"):
        KINDS.get(spec.kind).run(spec.config | {"policy": "lpm"})


def test_names_are_those_of_the_panel():
    assert kind_module.REGIONS == surface.REGIONS
    assert kind_module.MODELS == surface.MODELS
    assert {f"simulated_{name}_s" for name in SIMULATED} <= set(
        KINDS.get("serving-gpu-engine").metrics
    )
