"""Never slower: of a model's builds the one is kept that is measured to be faster as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.needs import need
from tuning.decide.ratio import ratio_of
from tuning.graph import BuiltModel, Choice, Decision
from tuning.graph.model import Contents
from tuning.graph.session import Passes, Session
from tuning.graph.variants import fastest, times_ns
from tuning.operators import Gemm, Pair

pytestmark = pytest.mark.usefixtures("_capable")


@pytest.fixture(scope="module")
def _capable() -> None:
    need("tvm")


class _Clock:
    """Time that passes only in calls and pauses."""

    def __init__(self) -> None:
        self.ns = 0
        self.slept: list[int] = []
        self.called: list[int] = []

    def perf_counter_ns(self) -> int:
        return self.ns

    def sleep(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)
        self.slept.append(self.ns)


class _Model:
    """A build whose calls take a given time; after a pause the first takes ten times as long."""

    contents = Contents(b"", [], (1, 1, 2, 2))

    def __init__(self, clock: _Clock, takes_ns: int, decisions: list[Decision]) -> None:
        self.clock, self.takes_ns, self.decisions = clock, takes_ns, decisions

    def call(self, image: Any) -> None:
        asleep = bool(self.clock.slept) and self.clock.slept[-1] == self.clock.ns
        self.clock.ns += self.takes_ns * (10 if asleep else 1)
        self.clock.called.append(self.takes_ns)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> _Clock:
    made = _Clock()
    monkeypatch.setattr("tuning.graph.variants.time", made)
    return made


def _models(clock: _Clock, **takes_ns: int) -> Mapping[str, BuiltModel]:
    made = {name: _Model(clock, ns, []) for name, ns in takes_ns.items()}
    return cast("Mapping[str, BuiltModel]", made)


def test_each_timed_call_follows_a_pause_and_an_untimed_call(clock: _Clock) -> None:
    times = times_ns(_models(clock, one=30, two=70), rounds=4, warmup=1)
    assert times == {"one": [30.0] * 4, "two": [70.0] * 4}
    assert len(clock.slept) == 2 * 5
    gaps = [b - a for a, b in zip(clock.slept, clock.slept[1:], strict=False)]
    assert min(gaps) > 20_000_000  # the spinning of libgomp


def test_nobody_always_runs_after_the_same_one(clock: _Clock) -> None:
    times_ns(_models(clock, one=10, two=20, three=30), rounds=40, warmup=0)
    assert clock.called[::2] == clock.called[1::2]  # untimed, timed
    turns = [tuple(clock.called[at : at + 6 : 2]) for at in range(0, len(clock.called), 6)]
    assert {tuple(sorted(turn)) for turn in turns} == {(10, 20, 30)}
    assert len(set(turns)) == 6  # every order there is


@pytest.mark.parametrize(("passes", "without", "wanted"), [(9, 5, "without"), (5, 9, "passes")])
def test_the_faster_build_is_kept_whichever_it_is(
    clock: _Clock, passes: int, without: int, wanted: str
) -> None:
    kept = fastest(_models(clock, passes=passes, without=without), rounds=6)
    assert kept.name == wanted
    assert kept.median_ns == {"passes": passes, "without": without}


@given(st.lists(st.tuples(st.integers(50, 90), st.integers(40, 80)), min_size=6, max_size=20))
def test_the_first_build_is_left_only_for_one_that_is_faster_beyond_noise(
    rounds: list[tuple[int, int]],
) -> None:
    """A median that is less by chance drops nothing: the whole interval must say so."""
    times = {"passes": [float(a) for a, _ in rounds], "without": [float(b) for _, b in rounds]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tuning.graph.variants.times_ns", lambda *_: times)
        kept = fastest(cast("Any", {"passes": None, "without": None}))
    beyond = ratio_of([times["passes"]], [times["without"]]).low > 1
    assert kept.name == ("without" if beyond else "passes")


class _Session(Session):
    """Builds fake models: with passes one time, without them another."""

    def __init__(self, clock: _Clock, passes_ns: int, without_ns: int, applied: bool) -> None:
        pair = Pair(Gemm(8, 4, 4), Gemm(8, 4, 4))
        decision = Decision("pair", pair, Choice(pair, 2.0, 1.0, applied, "said the test"))
        self.slow, self.built = _Model(clock, passes_ns, [decision]), []
        self.plain = _Model(clock, without_ns, [])

    def build(self, module: Any, passes: Passes | None = None) -> BuiltModel:
        self.built.append(passes)
        given = passes or Passes()
        return cast("BuiltModel", self.slow if given.fuse_pairs or given.pad else self.plain)


def test_passes_that_make_the_whole_model_slower_are_left_out(clock: _Clock) -> None:
    session = _Session(clock, passes_ns=9, without_ns=5, applied=True)
    kept = session.build_fastest(cast("Any", None))
    assert kept.model is cast("Any", session.plain)
    assert kept.median_ns == {"passes": 9.0, "without": 5.0}
    assert session.built == [Passes(), Passes(True, False, False)]


def test_passes_that_make_the_whole_model_faster_are_kept(clock: _Clock) -> None:
    session = _Session(clock, passes_ns=4, without_ns=5, applied=True)
    assert session.build_fastest(cast("Any", None)).model is cast("Any", session.slow)


def test_without_an_applied_decision_there_is_one_build(clock: _Clock) -> None:
    session = _Session(clock, passes_ns=9, without_ns=5, applied=False)
    kept = session.build_fastest(cast("Any", None))
    assert kept.model is cast("Any", session.slow)
    assert session.built == [Passes()]
