"""The template library of docs/examples keeps the laws, and tuning takes it."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import pytest

from experiments.paths import ROOT
from policies.search.base import Budget
from tests.needs import need
from tests.tuning.library_conformance import LibraryConformance
from tuning.compile import ObjectCache
from tuning.operators import Conv2d, Epilogue, Gemm
from tuning.profile import Profiler, ProfileSettings
from tuning.templates.cpu.library import CpuTemplates
from tuning.tuner import tune

FILE = ROOT / "docs" / "examples" / "naive_template.py"


def _module() -> Any:
    spec = importlib.util.spec_from_file_location("naive_template", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["naive_template"] = module
    spec.loader.exec_module(module)
    return module


NaiveTemplates = _module().NaiveTemplates


class TestNaive(LibraryConformance):
    library = NaiveTemplates
    operators = (Gemm(7, 5, 3), Gemm(33, 64, 17), Gemm(1, 1, 1))
    foreign = (
        Gemm(7, 5, 3, epilogue=Epilogue(("relu",))),
        Gemm(7, 5, 3, batch=2),
        Conv2d(1, 8, 8, 4, 4, (3, 3), (1, 1), (1, 1)),
    )


class TestOurs(LibraryConformance):
    library = staticmethod(lambda: CpuTemplates(threads=1))
    operators = (Gemm(33, 64, 17),)


class WrongTemplates(NaiveTemplates):
    """Forgets the last column."""

    def render(self, operator: Any, candidate: Any) -> Any:
        source = super().render(operator, candidate)
        return type(source)(
            source.text.replace("j < n;", "j < n - 1;"), source.compiler, source.flags
        )


def test_a_library_that_computes_something_else_is_told(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(LibraryConformance):
        library = WrongTemplates
        operators = (Gemm(7, 5, 3),)

    with pytest.raises(AssertionError, match=r"nan instead of|wrote|at \("):
        Wrong().test_kernels_compute_the_operator(tmp_path, monkeypatch)


@pytest.mark.extensive
def test_tuning_picks_among_its_candidates(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    need("torch")
    monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
    library, operator = NaiveTemplates(), Gemm(96, 96, 96)
    settings = ProfileSettings(threads=1, samples=5, min_sample_ns=10_000)
    with Profiler(library, settings, ObjectCache(tmp_path / "objects")) as profiler:
        tuned = tune(operator, library, profiler, "exhaustive", Budget(trials=9, seconds=60))
    assert tuned.statuses == {"ok": len(library.candidates(operator))}
    assert tuned.best.candidate in library.candidates(operator)
