"""Pure measures: laws that hold for all inputs, and curves whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.net import measures
from sim.net.links import Constant, Opportunities, Stepped

SECOND = 10**9
RATES = st.lists(st.floats(0, 1e12, allow_subnormal=False), min_size=1, max_size=40)


@given(RATES)
def test_jain_lies_between_one_nth_and_one(rates: list[float]) -> None:
    found = measures.jain(rates)
    if found is None:
        assert not any(rates)
    else:
        assert 1 / len(rates) - 1e-9 <= found <= 1 + 1e-9


@given(RATES, st.floats(1e-3, 1e3))
def test_jain_knows_no_unit_and_no_order(rates: list[float], factor: float) -> None:
    if any(0 < rate < 1e-200 for rate in rates):
        return  # the product would vanish
    found = measures.jain(rates)
    scaled = measures.jain([factor * rate for rate in reversed(rates)])
    assert scaled == (None if found is None else pytest.approx(found))


@given(st.integers(1, 30), st.integers(1, 30), st.floats(1e-6, 1e9))
def test_jain_of_k_equal_flows_among_n_is_k_over_n(k: int, others: int, rate: float) -> None:
    n = k + others
    assert measures.jain([rate] * k + [0.0] * others) == pytest.approx(k / n)


def test_mean_jain_leaves_out_silent_bins() -> None:
    assert measures.mean_jain([[1.0, 0.0, 2.0], [1.0, 0.0, 0.0]]) == pytest.approx(0.75)
    assert measures.mean_jain([[0.0], [0.0]]) is None


@given(st.integers(1, 400), st.sampled_from([0.1, 0.25, 0.5, 1.0]))
def test_rebinning_keeps_the_mean_of_whole_bins(count: int, bin_s: float) -> None:
    values = np.arange(count, dtype=float)
    together = round(1 / bin_s)
    found = measures.rebinned(values, bin_s, 1.0)
    assert len(found) == count // together
    if len(found):
        assert found.mean() == pytest.approx(values[: len(found) * together].mean())


@pytest.mark.parametrize("rise", [0.0, 1.0, 7.5, 20.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e9])
def test_a_step_converges_when_it_steps(rise: float, scale: float) -> None:
    times = np.arange(0, 60, 0.5)
    curve = scale * np.where(times < rise, 0.2, 1.0)
    assert measures.convergence_s(curve, 0.5, 15.0) == pytest.approx(rise)


def test_an_exponential_converges_when_a_tenth_is_left() -> None:
    times = np.arange(0, 100, 0.1)
    found = measures.convergence_s(1 - np.exp(-times / 5), 0.1, 25.0)
    assert found == pytest.approx(5 * np.log(10), abs=0.6)


def test_what_never_stays_near_its_mean_does_not_converge() -> None:
    times = np.arange(0, 60, 0.5)
    assert measures.convergence_s(np.where(times % 4 < 2, 0.5, 1.5), 0.5, 16.0) is None
    assert measures.convergence_s(np.zeros(100), 0.5, 10.0) is None
    assert measures.convergence_s([], 0.5, 10.0) is None
    assert measures.convergence_s([1.0, 1.0], 0.5, 1.0) is None


@given(st.lists(st.floats(0, 100), min_size=8, max_size=80))
def test_convergence_is_a_bin_of_the_series_or_nothing(values: list[float]) -> None:
    found = measures.convergence_s(values, 0.5, 2.0)
    assert found is None or (0 <= found <= 0.5 * len(values) - 2 and found % 0.5 == 0)


def test_rise_is_the_end_of_the_first_bin_that_reaches_95_percent() -> None:
    goodput = [10.0] * 10 + [12.0, 18.9, 19.0, 20.0]
    assert measures.rise_s(goodput, 0.5, 5.0, 20.0) == pytest.approx(1.5)
    assert measures.rise_s(goodput, 0.5, 5.0, 30.0) is None
    assert measures.rise_s(goodput, 0.5, 4.8, 10.0) == pytest.approx(0.7)


PERIODIC = Stepped((0, 2 * SECOND), (1e6, 3e6), 4 * SECOND)


@pytest.mark.parametrize(
    ("capacity", "start", "end", "bits"),
    [
        (Constant(5e6), 1.0, 3.0, 10e6),
        (Stepped((0, 2 * SECOND), (1e6, 3e6)), 1.0, 4.0, 7e6),
        (Stepped((0, 2 * SECOND), (1e6, 3e6)), 3.0, 10.0, 21e6),
        (PERIODIC, 0.0, 12.0, 24e6),
        (PERIODIC, 3.0, 5.0, 4e6),
        (Opportunities((0, SECOND // 2), SECOND), 0.0, 2.0, 4 * 12_000.0),
        (Opportunities((0, SECOND // 2), SECOND), 0.25, 1.0, 12_000.0),
    ],
)
def test_capacity_is_what_can_be_served(
    capacity: Constant | Stepped | Opportunities, start: float, end: float, bits: float
) -> None:
    window = (round(start * SECOND), round(end * SECOND))
    assert measures.capacity_bits(capacity, *window, 1500) == pytest.approx(bits)


@given(st.lists(st.integers(0, 30 * SECOND), min_size=3, max_size=3).map(sorted))
def test_capacities_of_neighbouring_windows_add_up(times: list[int]) -> None:
    a, b, c = times
    for capacity in (PERIODIC, Opportunities((0, 7, SECOND // 3), SECOND)):
        parts = [measures.capacity_bits(capacity, *w, 1500) for w in ((a, b), (b, c))]
        assert sum(parts) == pytest.approx(measures.capacity_bits(capacity, a, c, 1500))


def test_the_rate_of_a_moment() -> None:
    assert [measures.rate_at(PERIODIC, t * SECOND) for t in (0, 1, 2, 3, 4, 6)] == [
        1e6,
        1e6,
        3e6,
        3e6,
        1e6,
        3e6,
    ]
