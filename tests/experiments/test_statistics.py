"""Intervals by bootstrap: they cover as often as they say, and never leave the realm of numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.statistics import CONFIDENCE, geometric_mean_interval, mean_interval

values = st.floats(-1e6, 1e6).map(lambda x: round(x, 3))
samples = st.lists(values, min_size=1, max_size=8)


@pytest.mark.extensive
@pytest.mark.parametrize("groups", [1, 4])
def test_the_interval_covers_the_mean_about_95_times_in_100(groups: int) -> None:
    """On 400 samples of 40 normal numbers, whole or in 4 strata of different means.

    A bootstrap interval of n = 40 covers a little less than it says, about 94 % (93 % where the
    strata have 10 each). The count of 400 has a standard deviation of 1.2 %, so 89.5 to 98.5 %
    is four of them around either: a right interval fails less than once in 10,000 seeds, one of
    90 % or 99 % fails nearly always at 4 strata or n = 40.
    """
    rng = np.random.default_rng(42)
    centres = np.arange(groups) * 10.0
    covered = 0
    for _ in range(400):
        sample = [rng.normal(centre, 1, size=40 // groups).tolist() for centre in centres]
        found = mean_interval(sample)
        covered += (found.low or 0) <= centres.mean() <= (found.high or 0)
    assert CONFIDENCE == 0.95
    assert 0.895 <= covered / 400 <= 0.985


@settings(max_examples=40, deadline=None)
@given(st.lists(samples, min_size=1, max_size=3))
def test_value_is_the_mean_of_group_means_and_the_interval_finite(
    groups: list[list[float]],
) -> None:
    found = mean_interval(groups)
    assert found.value == pytest.approx(np.mean([np.mean(g) for g in groups]), abs=1e-6)
    assert found.n == sum(map(len, groups))
    if found.n < 2:
        assert found.low is found.high is found.half_width is None
    else:
        assert found.low is not None
        assert found.high is not None
        assert math.isfinite(found.low)
        smallest, largest = min(map(min, groups)), max(map(max, groups))
        assert smallest - 1e-6 <= found.low <= found.high <= largest + 1e-6


@settings(max_examples=30, deadline=None)
@given(
    st.lists(values, min_size=3, max_size=8, unique=True),
    st.sampled_from([1e-250, 1e-9, 1e9, 1e250]),
)
def test_the_unit_does_not_matter(sample: list[float], scale: float) -> None:
    """Also where squares or cubes of the values would leave the range of a float."""
    plain, scaled = mean_interval([sample]), mean_interval([[x * scale for x in sample]])
    spread = (max(sample) - min(sample)) * 1e-6
    assert (scaled.low or 0) / scale == pytest.approx(plain.low, abs=spread)
    assert (scaled.high or 0) / scale == pytest.approx(plain.high, abs=spread)


@pytest.mark.parametrize("n", [4, 12, 60])
def test_the_interval_is_that_of_an_independent_implementation(n: int) -> None:
    """SciPy's, up to the luck of the draws: 3 % of the width where 5000 resamples give 1 %."""
    from scipy import stats

    sample = np.random.default_rng(n).gamma(1.5, size=n)
    theirs = stats.bootstrap(
        (sample,), np.mean, n_resamples=50_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    ours = mean_interval([sample.tolist()])
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * width)


@pytest.mark.parametrize(
    "sample", [[1.0, 1.0, np.nextafter(1, 2)], [0.0, 0.0, 0.0, 1.0], [1.0, 2.0], [3e-324, 0.0, 0.0]]
)
def test_degenerate_samples_have_finite_intervals(sample: list[float]) -> None:
    found = mean_interval([sample])
    assert found.low is not None
    assert found.high is not None
    assert min(sample) <= found.low <= found.high <= max(sample)


def test_equal_values_have_an_interval_of_no_width() -> None:
    found = mean_interval([[2.5] * 5])
    assert (found.value, found.low, found.high, found.half_width) == (2.5, 2.5, 2.5, 0)
    strata = mean_interval([[1.0, 1.0], [3.0, 3.0]])
    assert (strata.value, strata.half_width) == (2.0, 0)


def test_one_value_has_no_interval() -> None:
    found = mean_interval([[2.5]])
    assert (found.value, found.low, found.high, found.n) == (2.5, None, None, 1)


@pytest.mark.parametrize("groups", [[], [[]], [[], []]])
def test_no_value_is_an_error(groups: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="no values"):
        mean_interval(groups)


def test_points_are_strata_not_a_sample() -> None:
    """Points far apart do not widen the interval; what varies at a point does."""
    near = mean_interval([[1.0, 1.1, 1.2], [2.0, 2.1, 2.2]])
    far = mean_interval([[1.0, 1.1, 1.2], [2000.0, 2000.1, 2000.2]])
    assert far.half_width == pytest.approx(near.half_width)
    assert (near.half_width or 0) < 0.15


def test_points_without_repetitions_are_drawn_as_one_sample() -> None:
    assert mean_interval([[1.0], [2.0], [4.0]]) == mean_interval([[1.0, 2.0, 4.0]])


def test_the_same_values_and_seed_have_the_same_interval() -> None:
    sample = [[1.0, 2.0, 5.0, 7.0], [2.0, 3.0, 1.0]]
    assert mean_interval(sample) == mean_interval(sample)
    assert mean_interval(sample) != mean_interval(sample, seed=1)
    assert mean_interval(sample[:1]) == mean_interval(sample[:1])


positive = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(st.lists(positive, min_size=1, max_size=3), st.floats(0.1, 10))
def test_geometric_means_scale_and_turn_over_with_their_values(
    groups: list[list[float]], factor: float
) -> None:
    found = geometric_mean_interval(groups)
    scaled = geometric_mean_interval([[factor * v for v in g] for g in groups])
    turned = geometric_mean_interval([[1 / v for v in g] for g in groups])
    assert found is not None
    assert scaled is not None
    assert turned is not None
    assert scaled.value == pytest.approx(factor * found.value)
    assert turned.value == pytest.approx(1 / found.value)
    assert found.value == pytest.approx(np.exp(np.mean([np.log(g).mean() for g in groups])))
    if found.n > 1:
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.high


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_a_ratio_that_is_none_has_no_geometric_mean(value: float) -> None:
    assert geometric_mean_interval([[1.0, value]]) is None
