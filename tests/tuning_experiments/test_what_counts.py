"""How the tuning kinds make numbers of times: ratios, counts, ranges, and what is left out."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.kinds import tuning_bench, tuning_network
from experiments.kinds.base import KINDS
from experiments.kinds.tuning_bench import interleaved
from experiments.kinds.tuning_contest import said_of
from experiments.kinds.tuning_extrapolation import extrapolated, spread
from experiments.kinds.tuning_network import Networks, padded_in, pairs_in
from experiments.kinds.tuning_operator import VENDORS, metrics_of
from tuning.graph.options import Choice, Decision
from tuning.metaschedule import MetaTuned
from tuning.operators import Gemm, Pair
from tuning.rivals import Timing

samples = st.lists(st.floats(1e3, 1e12), min_size=5, max_size=5)
entrants = {name: st.one_of(st.none(), samples) for name in (*VENDORS, "metaschedule")}


@given(samples, st.fixed_dictionaries(entrants), st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_the_fastest_vendor_is_the_one_to_beat(
    ours: list[float], others: dict[str, list[float] | None], trials: int
) -> None:
    timings = {"ours": Timing.of("ours", ours)}
    for name, taken in others.items():
        timings[name] = Timing.of(name, taken) if taken else Timing(name, status="crashed")
    found: dict[str, Any] = metrics_of(timings, 10**9, {"trials": trials, "tune_s": 8.0})
    assert set(found) == set(KINDS.get("tuning-operator").metrics)
    there = [median(taken) for name in VENDORS if (taken := others[name])]
    assert found["fastest_vendor_ns"] == min(there, default=None)
    for name, taken in (("fastest_vendor", there), ("metaschedule", others["metaschedule"])):
        low, middle_, high = (found[f"speedup_over_{name}{end}"] for end in ("_low", "", "_high"))
        assert (low is None) == (middle_ is None) == (high is None) == (not taken)
        assert not taken or low <= middle_ <= high
    assert found["gflops"] == pytest.approx(1e9 / median(ours))
    assert found["s_per_trial"] == (8.0 / trials if trials else None)


@pytest.mark.parametrize("status", [None, "crashed"])
def test_a_winner_without_a_time_is_one_message(status: str | None) -> None:
    timings = {"torch": Timing.of("torch", [1.0])}
    if status:
        timings["ours"] = Timing("ours", status=status)
    with pytest.raises(RuntimeError, match="no time in the contest"):
        metrics_of(timings, 1, {})


def test_a_rival_that_was_cut_off_says_so() -> None:
    cut = MetaTuned(0.0, None, 7, 0, 1, 60.0, status="timeout", message="too slow")
    said = said_of(cut, 32, 60.0)
    assert "cut off after 60 s with 7 of 32 trials" in said
    assert "too slow" in said
    assert "cut off" not in said_of(replace(cut, status="ok"), 32, 60.0)


@given(st.integers(1, 200), st.integers(1, 100))
def test_measured_operators_are_spread_over_all_sizes(count: int, wanted: int) -> None:
    found = spread(count, wanted)
    assert len(set(found)) == len(found) == min(count, wanted)
    assert all(0 <= place < count for place in found)
    assert found == sorted(found)
    # as many are left out below the first as above the last, to within one
    assert abs(found[0] - (count - 1 - found[-1])) <= 1


@given(st.lists(st.floats(0.1, 1e4), max_size=9), st.integers(1, 100))
def test_an_extrapolation_is_a_range(seconds: list[float], count: int) -> None:
    found = extrapolated(seconds, count)
    if not seconds:
        assert set(found.values()) == {None}
        return
    low, middle_, high = (found[f"metaschedule_{end}"] for end in ("low_s", "s", "high_s"))
    assert isinstance(low, float)
    assert isinstance(middle_, float)
    assert isinstance(high, float)
    assert low * (1 - 1e-9) <= middle_ <= high * (1 + 1e-9)
    assert low == count * min(seconds)


def test_calls_of_other_thread_pools_are_waited_for_and_woken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before each timed sample: a pause, then one call that is not timed."""
    told: list[str] = []
    monkeypatch.setattr(tuning_bench.time, "sleep", lambda s: told.append(f"pause {s}"))
    interleaved({"a": lambda: told.append("a")}, 2, least_s=0.0, warm_up=0, settle_s=0.03)
    assert told == ["a", *["pause 0.03", "a", "a"] * 2]


def test_what_runs_is_counted_not_what_was_decided() -> None:
    """A padded operator that a pair then took in does not run."""
    one, wide = Gemm(8, 4, 3), Gemm(8, 4, 4)
    pair = Pair(Gemm(8, 4, 4), Gemm(8, 2, 4))
    choice = Choice(wide, 2.0, 1.0, applied=True, reason="")
    decisions = [Decision("padding", one, choice)]

    def built(*operators: Any) -> Any:
        return SimpleNamespace(
            layers=[SimpleNamespace(operator=each) for each in operators], decisions=decisions
        )

    assert padded_in(built(wide, wide, pair)) == 2
    assert padded_in(built(one, pair)) == 0
    assert pairs_in(built(one, pair, pair)) == 2


@pytest.fixture
def bare_build(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Networks]:
    """Build a fake network, of whose builds `passes` and `none` the given one is faster."""
    graph = importlib.import_module("tuning.graph")
    variants = importlib.import_module("tuning.graph.variants")
    networks = importlib.import_module("tuning.models")
    monkeypatch.setattr(graph, "import_torch", lambda *_: None)
    monkeypatch.setattr(networks, "model", lambda *_: None)
    monkeypatch.setattr(tuning_network, "_error", lambda *_: 0.0)

    def build(kept: str) -> Networks:
        def whole(models: dict[str, Any]) -> Any:
            return variants.Kept(kept, models[kept], {"passes": 10.0, "none": 9.0})

        monkeypatch.setattr(variants, "fastest", whole)
        config = tuning_network.NetworkConfig(model="resnet18")
        return tuning_network.build(config, cast(Any, FakeSession()), 0, plain=True)

    return build


def test_tuning_spent_does_not_hold_what_is_built_to_compare(
    bare_build: Callable[[str], Networks],
) -> None:
    """Building without passes tunes other operators; they are no part of a network's tuning."""
    found = bare_build("passes")
    assert found.spent["trials"] == 5
    assert found.bare["epilogues"] is found.built
    assert found.bare["plain"] is not found.built
    assert found.passes_gain == pytest.approx(0.8)
    assert found.notes == ()


def test_a_network_without_any_pass_is_kept_where_it_is_faster_and_all_tuning_counts(
    bare_build: Callable[[str], Networks],
) -> None:
    found = bare_build("none")
    assert found.built is found.bare["plain"]
    assert found.bare["epilogues"] is not found.built
    assert found.spent["trials"] == 10
    assert "epilogues included" in found.notes[0]


class FakeSession:
    """Tunes one operator of five trials per build."""

    def __init__(self) -> None:
        self.tuned: dict[int, Any] = {}

    def build(self, *_: Any) -> Any:
        self.tuned[len(self.tuned)] = SimpleNamespace(
            trials=5, statuses={}, compile_s=0.0, measure_s=0.0, seconds=1.0
        )
        return SimpleNamespace(decisions=[], layers=[])

    def build_fastest(self, *_: Any) -> Any:
        times = {"passes": 10.0, "without": 8.0}
        return SimpleNamespace(model=self.build(), median_ns=times)
