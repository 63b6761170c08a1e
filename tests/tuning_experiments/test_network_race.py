"""Races of networks: turns are shuffled, ratios are of one round, and their intervals cover."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.kinds import tuning_network_race
from experiments.kinds.tuning_network_race import (
    FEWEST_PAIRS,
    LAYOUTS,
    NetworkRace,
    taken_in_turn,
)

ns = st.floats(1e6, 1e9)
taken = st.lists(st.tuples(ns, ns, st.booleans(), st.booleans()), min_size=3, max_size=30)


def race_of(rounds: list[tuple[float, float, bool, bool]]) -> NetworkRace:
    slow = [(ns, disturbed) for ns, _, disturbed, _ in rounds]
    fast = [(ns, disturbed) for _, ns, _, disturbed in rounds]
    return NetworkRace({"plain": slow, "ours": fast})


@given(taken)
def test_a_ratio_lies_in_its_interval_and_is_of_undisturbed_rounds(
    rounds: list[tuple[float, float, bool, bool]],
) -> None:
    found = race_of(rounds).ratio("plain")
    assert found is not None
    clean = [r for r in rounds if not (r[2] or r[3])]
    kept = clean if len(clean) >= FEWEST_PAIRS else rounds
    ratios = [slow / fast for slow, fast, _, _ in kept]
    assert found.value == pytest.approx(statistics.median(ratios))
    assert min(ratios) * (1 - 1e-12) <= found.low <= found.value * (1 + 1e-12)
    assert found.value * (1 - 1e-12) <= found.high <= max(ratios) * (1 + 1e-12)


@given(taken, st.floats(0.5, 2), st.integers(0, 10_000))
def test_a_drift_that_meets_both_of_a_round_changes_nothing(
    rounds: list[tuple[float, float, bool, bool]], scale: float, seed: int
) -> None:
    """Where the machine is slower for a while, both are; medians apart would mix up the two."""
    slowed = [
        (slow * by, fast * by, first, second)
        for place, (slow, fast, first, second) in enumerate(rounds)
        for by in [scale if (place * 7919 + seed) % 3 else 1.0]
    ]
    one, two = race_of(rounds).ratio("plain"), race_of(slowed).ratio("plain")
    assert one is not None
    assert two is not None
    assert (two.value, two.low, two.high) == pytest.approx((one.value, one.low, one.high))


@given(taken)
def test_who_is_compared_with_itself_is_even(
    rounds: list[tuple[float, float, bool, bool]],
) -> None:
    found = race_of(rounds).ratio("ours")
    assert found is not None
    assert (found.low, found.value, found.high) == (1.0, 1.0, 1.0)


def test_who_did_not_run_has_no_ratio() -> None:
    assert race_of([(2.0, 1.0, False, False)] * 3).ratio("epilogues") is None


@pytest.mark.parametrize("better", LAYOUTS)
def test_the_faster_layout_of_eager_pytorch_counts(better: str) -> None:
    times = {name: [(1e6 if name == better else 2e6, False)] * 3 for name in LAYOUTS}
    times |= {f"base {name}": [(3e6, False)] * 3 for name in LAYOUTS}
    race = NetworkRace(times)
    assert race.eager() == better
    assert race.median_ms(race.eager()) == 1.0
    assert race.median_ms(race.eager("base ")) == 3.0


@given(st.integers(1, 3), st.integers(1, 8))
def test_every_round_has_one_call_of_each_after_a_pause_and_an_untimed_one(
    count: int, rounds: int
) -> None:
    told: list[str] = []
    calls = {str(i): (lambda i=i: told.append(str(i))) for i in range(count)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning_network_race.time, "sleep", lambda _: told.append("pause"))
        found = taken_in_turn(calls, rounds, warm_up=1)
    assert {name: len(samples) for name, samples in found.items()} == dict.fromkeys(calls, rounds)
    assert told[::3] == ["pause"] * (count * (rounds + 1))
    assert told[1::3] == told[2::3]  # untimed, timed
    turns = [told[at : at + 3 * count][1::3] for at in range(0, len(told), 3 * count)]
    assert all(sorted(turn) == sorted(calls) for turn in turns)


def test_turns_are_in_every_order(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(tuning_network_race.time, "sleep", lambda _: None)
    taken_in_turn({name: (lambda name=name: told.append(name)) for name in "abc"}, 40, warm_up=0)
    assert len({tuple(told[at : at + 6 : 2]) for at in range(0, len(told), 6)}) == 6
