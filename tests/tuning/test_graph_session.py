"""Sessions: tuned for real, decided by races, and the second time without measuring."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from policies.search.base import Budget
from tests.needs import need
from tests.tuning.graph_support import ISA, assert_equals, expected, image, residual_net
from tuning.graph import BuiltModel, import_torch
from tuning.graph.session import Passes, Session
from tuning.graph.variants import fastest, times_ns
from tuning.models import MODELS, model
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


def test_a_second_build_measures_nothing_and_chooses_the_same(tmp_path: Path) -> None:
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


def test_the_fastest_of_two_builds_is_kept() -> None:
    example = image(1, 3, 64, 64)
    module = import_torch(residual_net(), example)
    with _session(None) as session:
        models = {
            "one": session.build(module, Passes(fuse_pairs=False, pad=False)),
            "two": session.build(module, Passes(False, False, False)),
        }
        times = times_ns(models, rounds=3)
        assert {name: len(values) for name, values in times.items()} == {"one": 3, "two": 3}
        kept = fastest(models, rounds=3)
        assert kept.median_ns[kept.name] == min(kept.median_ns.values())
        assert isinstance(session.build_fastest(module).model, BuiltModel)


@pytest.mark.parametrize("name", MODELS)
def test_each_of_the_papers_networks_equals_pytorch(name: str) -> None:
    network, example = model(name), image(1, 3, 224, 224)
    with _session(None, trials=1, isa=None) as session:
        built = session.build(import_torch(network, example), Passes(fuse_pairs=False, pad=False))
    wanted = expected(network, example)
    found = built.run(example.numpy())
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()
