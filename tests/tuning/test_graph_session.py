"""Sessions: tuned for real, decided by races, and the second time without measuring."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from policies.search.base import Budget
from tests.needs import need
from tests.tuning.graph_support import (
    ISA,
    GuessingTuner,
    assert_equals,
    expected,
    image,
    residual_net,
)
from tuning.decide import Raced
from tuning.decide.widths import channels
from tuning.graph import Choice, GraphOptions, Tuner, import_torch, optimise
from tuning.graph.session import Passes, Session
from tuning.graph.variants import times_ns
from tuning.models import MODELS, Variant, model
from tuning.operators import Conv2d, Gemm, Pair
from tuning.profile import ProfileSettings
from tuning.templates.cpu.library import CpuTemplates

pytestmark = [pytest.mark.usefixtures("_capable"), pytest.mark.extensive]


@pytest.fixture(scope="module")
def _capable() -> None:
    need("torch")
    need("tvm")


def _session(folder: Path | None, trials: int = 2, isa: str | None = ISA) -> Session:
    settings = ProfileSettings(threads=2, samples=3, min_sample_ns=20_000)
    return Session(CpuTemplates(isa, 2), settings, folder, budget=Budget(trials, 60.0))


def test_a_second_build_measures_nothing_and_chooses_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A race on a busy machine settles nothing and is run again; here every race counts.
    monkeypatch.setattr(Raced, "busy", False)
    network, example = residual_net(), image(1, 3, 16, 16)
    module = import_torch(network, example)
    with _session(tmp_path) as session:
        first = session.build(module)
        assert all(tuned.replayed < tuned.trials for tuned in session.tuned.values())
    with _session(tmp_path) as session:
        second = session.build(module)
        assert all(tuned.replayed == tuned.trials for tuned in session.tuned.values())
    assert second.layers == first.layers
    assert second.decisions == first.decisions
    assert_equals(second.run(example.numpy()), network, example)


def test_passes_that_are_off_ask_nothing(tmp_path: Path) -> None:
    module = import_torch(residual_net(), image(1, 3, 16, 16))
    with _session(tmp_path) as session:
        built = session.build(module, Passes(fuse_pairs=False, pad=False))
    assert built.decisions == []
    assert not (tmp_path / "decisions.jsonl").exists()


def test_whichever_build_is_kept_computes_the_network() -> None:
    """With all passes, without pairs and padding, without any: timed in turn, and equal."""
    network, example = residual_net(), image(1, 3, 64, 64)
    module = import_torch(network, example)
    with _session(None) as session:
        models = {
            "one": session.build(module, Passes(fuse_pairs=False, pad=False)),
            "two": session.build(module, Passes(False, False, False)),
        }
        times = times_ns(models, rounds=3)
        kept = session.build_fastest(module)
    assert {name: len(values) for name, values in times.items()} == {"one": 3, "two": 3}
    assert all(ns > 0 for values in times.values() for ns in values)
    assert len(models["two"].layers) == len(models["one"].layers)
    assert kept.median_ns.keys() <= {"passes", "without"}
    for built in (*models.values(), kept.model):
        assert_equals(built.run(example.numpy()), network, example)


@pytest.mark.parametrize("name", MODELS)
def test_each_of_the_papers_networks_equals_pytorch(name: str) -> None:
    network, example = model(name), image(1, 3, 224, 224)
    with _session(None, trials=1, isa=None) as session:
        built = session.build(import_torch(network, example), Passes(fuse_pairs=False, pad=False))
    wanted = expected(network, example)
    found = built.run(example.numpy())
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def _fused(pair: Pair, tuner: Tuner) -> Choice:
    """Fuse what there is a kernel for, but for the pair that begins with the image."""
    known = bool(CpuTemplates(None, 2).native(pair)) and channels(pair.first)[0] > 3
    return Choice(pair if known else None, 2.0, 1.0, known, "said the test")


def _wider(operator: Gemm | Conv2d, tuner: Tuner) -> Choice:
    ins, outs = (width + 4 for width in channels(operator))
    names = ("k", "n") if isinstance(operator, Gemm) else ("in_channels", "out_channels")
    padded = dataclasses.replace(operator, **dict(zip(names, (ins, outs), strict=True)))
    return Choice(padded, 2.0, 1.0, True, "said the test")


@pytest.mark.parametrize("name", ["resnet50", "repvgg_a0"])
def test_networks_with_every_pair_fused_and_all_else_padded_equal_pytorch(name: str) -> None:
    templates, example = CpuTemplates(None, 2), image(1, 3, 64, 64)
    network = model(name, 0, Variant(deepen=name == "repvgg_a0", image=64))
    options = GraphOptions(decide_pair=_fused, decide_padding=_wider)
    module = import_torch(network, example)
    built = optimise(module, GuessingTuner(templates), templates, options)
    pairs = sum(isinstance(layer.operator, Pair) for layer in built.layers)
    padded = sum(decision.kind == "padding" for decision in built.decisions)
    assert pairs >= 15
    assert padded >= 3
    assert built.left == {}
    wanted, found = expected(network, example), built.run(example.numpy())
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()
