"""The laws of a template library, as a class of tests to inherit.

For a library of your own:

    class TestMine(LibraryConformance):
        library = Mine  # made without arguments
        operators = (Gemm(64, 48, 80),)  # some that it computes
        foreign = (Conv2d(...),)  # some that it does not
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import pytest

from tests.needs import need
from tuning.compile import ObjectCache
from tuning.operators import Operator
from tuning.profile import Profiler, ProfileSettings
from tuning.space import Candidate

MOST_MEASURED = 6


class LibraryConformance:
    """Inherit it and name the library."""

    library: ClassVar[Any] = None
    operators: ClassVar[tuple[Operator, ...]] = ()
    foreign: ClassVar[tuple[Operator, ...]] = ()

    def made(self) -> Any:
        """Return a new library."""
        return type(self).library()

    def test_it_declares_what_it_is(self) -> None:
        made = self.made()
        assert made.name
        assert made.version == self.made().version
        assert made.compiler
        assert made.device.cores >= 1

    def test_candidates_are_legal_distinct_and_in_a_fixed_order(self) -> None:
        made = self.made()
        for operator in self.operators:
            found = list(made.candidates(operator))
            assert found, operator.text()
            assert len(set(found)) == len(found)
            assert all(made.rejected(operator, one) is None for one in found)
            assert found == list(self.made().candidates(operator))
            native = list(made.native(operator))
            assert native
            assert len(set(native)) == len(native)
            assert all(made.rejected(operator, one) is None for one in native)

    def test_what_it_does_not_compute_is_rejected_with_a_reason(self) -> None:
        made = self.made()
        some = made.candidates(self.operators[0])[0]
        for operator in self.foreign:
            assert list(made.candidates(operator)) == []
            assert made.rejected(operator, some)
        stranger = Candidate.of("no_such_template", {}, {})
        assert made.rejected(self.operators[0], stranger)

    def test_candidates_survive_being_written_down(self) -> None:
        made = self.made()
        for one in made.candidates(self.operators[0]):
            assert Candidate.from_dict(one.to_dict()) == one

    def test_estimates_are_positive_numbers(self) -> None:
        made = self.made()
        for operator in self.operators:
            for one in made.candidates(operator):
                assert 0 < made.estimate_s(operator, one) < math.inf

    def test_sources_are_the_same_each_time_and_shared_by_equal_units(self) -> None:
        made, operator = self.made(), self.operators[0]
        digests: dict[Any, str] = {}
        for one in made.candidates(operator):
            digest = made.render(operator, one).digest
            assert digest == self.made().render(operator, one).digest
            assert digests.setdefault(one.compiled, digest) == digest

    def test_kernels_compute_the_operator(
        self, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The profiler compares numbers with the reference before it believes a time."""
        need("torch")
        monkeypatch.setenv("TRIPTYCH_CACHE", str(tmp_path / "cache"))
        made = self.made()
        settings = ProfileSettings(threads=1, warmup=0, samples=1, min_sample_ns=1000)
        with Profiler(made, settings, ObjectCache(tmp_path / "objects")) as profiler:
            for operator in self.operators:
                found = list(made.candidates(operator))
                stride = max(1, len(found) // MOST_MEASURED)
                for one in profiler.measure(operator, found[::stride]):
                    assert one.status == "ok", f"{one.candidate.text()}: {one.message}"
