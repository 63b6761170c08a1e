"""The laws of a template search, as a class of tests to inherit.

For a search of your own:

    class TestMine(SearchConformance):
        search = Mine  # the class, or its registered name
        parameters = {"k": 4}  # of its constructor, where they differ from the defaults
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.search.base import SEARCHES, Budget
from tests.tuning.fakes import OPERATOR, FakeSpace
from tuning.space import OUT_OF_BUDGET, Candidate, Measurement, Space, best_of

lenient = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors],  # each subclass runs the same test
)
times = st.dictionaries(st.integers(0, 39), st.floats(1.0, 1e9))


class Bench:
    """A `measure` that keeps an account; candidate n takes times[n] ns, or crashes."""

    def __init__(self, times_ns: Mapping[int, float], trials: int, affordable: int = 10**9) -> None:
        self.times_ns, self.left = times_ns, min(trials, affordable)
        self.answers: list[Measurement] = []
        self.calls_after_the_end = 0

    def __call__(self, candidates: Sequence[Candidate]) -> list[Measurement]:
        self.calls_after_the_end += self.left == 0 and bool(candidates)
        found = [self._one(candidate) for candidate in candidates]
        self.answers += found
        return found

    def _one(self, candidate: Candidate) -> Measurement:
        if self.left == 0:
            return Measurement(candidate, "rejected", message=OUT_OF_BUDGET)
        self.left -= 1
        if not (time_ns := self.times_ns.get(int(candidate.params["number"]), 0.0)):
            return Measurement(candidate, "crashed", message="SIGSEGV")
        return Measurement(candidate, "ok", time_ns, time_ns, time_ns, 1)


class SearchConformance:
    """Inherit it and name the search."""

    search: ClassVar[Any] = None
    parameters: ClassVar[Mapping[str, Any]] = {}

    def made(self) -> Any:
        """Return a new search."""
        given = type(self).search
        cls = SEARCHES.get(given) if isinstance(given, str) else given
        return cls(**self.parameters)

    def run(
        self, bench: Bench, trials: int = 1000, seed: int = 0, count: int = 40
    ) -> Measurement | None:
        """Run the search over `count` numbered candidates."""
        space = cast(Space, FakeSpace(count))
        luck = np.random.default_rng(seed)
        return self.made().search(OPERATOR, space, bench, Budget(trials, 10.0), luck)

    def test_it_declares_what_it_is(self) -> None:
        made = self.made()
        assert made.engine == "templates"
        assert made.name in SEARCHES.names()
        assert type(made).__doc__
        assert type(made).search.__doc__

    @lenient
    @given(times, st.integers(1, 60), st.integers(0, 3))
    def test_the_laws(self, times_ns: dict[int, float], trials: int, seed: int) -> None:
        bench = Bench(times_ns, trials)
        found = self.run(bench, trials, seed)
        candidates = [answer.candidate for answer in bench.answers]
        assert len(set(candidates)) == len(candidates), "measured a candidate twice"
        assert 1 <= len(candidates) <= trials, "asked for more than its budget"
        assert found == best_of(bench.answers), "did not return the best of what ran"

    @lenient
    @given(times, st.integers(1, 60), st.integers(0, 3))
    def test_one_seed_gives_one_search(
        self, times_ns: dict[int, float], trials: int, seed: int
    ) -> None:
        one, other = Bench(times_ns, trials), Bench(times_ns, trials)
        assert self.run(one, trials, seed) == self.run(other, trials, seed)
        assert one.answers == other.answers

    def test_it_copes_when_all_fail(self) -> None:
        bench = Bench({}, 1000)
        assert self.run(bench) is None
        assert bench.answers

    @pytest.mark.parametrize("affordable", [0, 1, 5, 17])
    def test_it_ends_when_the_seconds_are_spent(self, affordable: int) -> None:
        bench = Bench(dict.fromkeys(range(40), 5.0), 1000, affordable)
        found = self.run(bench)
        assert (found is None) == (affordable == 0)
        assert bench.calls_after_the_end <= 1, "went on asking after it was told to end"

    def test_it_copes_with_a_space_of_one_and_an_empty_one(self) -> None:
        found = self.run(Bench({0: 5.0}, 1000), count=1)
        assert found is not None
        assert found.median_ns == 5.0
        assert self.run(Bench({}, 1000), count=0) is None
