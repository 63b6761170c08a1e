"""Gaps and sizes of open-loop sources: limits, means, distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sim.net import source_draws as draws
from sim.net.luck import Stream
from sim.net.scenario import Sizes

LISTED = Sizes("listed", values=(40, 576, 1500), weights=(3.0, 1.0, 4.0))
SAMPLES = 40_000


def _sizes(sizes: Sizes, us: list[float]) -> np.ndarray:
    values, shares = draws.listed_shares(sizes)
    kind = draws.SIZE_KINDS.index(sizes.kind)
    arguments = (sizes.mean, sizes.low, sizes.high, values, shares)
    return np.array([draws.packet_bytes(kind, u, *arguments) for u in us])


def _uniforms(count: int = SAMPLES) -> list[float]:
    stream = Stream(5)
    return [stream.uniform() for _ in range(count)]


def test_exponential_variates_follow_their_law():
    found = [draws.exponential(u, 250.0) for u in _uniforms()]
    assert stats.kstest(found, stats.expon(scale=250.0).cdf).pvalue > 1e-3


def test_spacing_is_the_time_of_a_packet_at_the_rate():
    assert draws.spacing(1500 * 8, 12e6) == 1_000_000
    assert draws.spacing(8, 3e9) == 3  # 2.67 ns
    assert draws.spacing(8, 1e13) == 1


def test_whole_nanoseconds_are_nearest_and_at_least_one():
    assert [draws.whole_ns(t) for t in (0.0, 0.4, 1.49, 1.5, 2.5, 1e17)] == [1, 1, 1, 2, 3, 10**17]


@pytest.mark.parametrize(
    ("sizes", "bias"),
    [
        (Sizes("fixed", mean=1000.4), 0.0),
        (Sizes("uniform", low=40, high=1500), 0.0),
        (Sizes("exponential", mean=500.0), 0.5),  # rounded up
        (LISTED, 0.0),
    ],
)
def test_sizes_have_the_mean_that_gaps_are_made_for(sizes: Sizes, bias: float):
    found = _sizes(sizes, _uniforms())
    error = found.std() / math.sqrt(SAMPLES)
    assert found.mean() == pytest.approx(draws.mean_bytes(sizes) + bias, abs=4 * error + 1e-9)
    assert draws.mean_gap_ns(sizes, 8e9) == pytest.approx(draws.mean_bytes(sizes))


def test_uniform_sizes_reach_both_ends_equally_often():
    found = _sizes(Sizes("uniform", low=3, high=7), _uniforms())
    counts = np.bincount(found, minlength=8)
    assert counts[:3].sum() == 0
    assert stats.chisquare(counts[3:]).pvalue > 1e-3


def test_listed_sizes_have_their_shares():
    found = _sizes(LISTED, _uniforms())
    counts = [int((found == value).sum()) for value in LISTED.values]
    expected = [SAMPLES * w / 8.0 for w in LISTED.weights]
    assert sum(counts) == SAMPLES
    assert stats.chisquare(counts, expected).pvalue > 1e-3


@settings(deadline=None, max_examples=200)
@given(st.floats(0.0, 1.0, exclude_max=True), st.floats(1.0, 65_599.0))
def test_sizes_stay_in_range_and_python_agrees(u: float, mean: float):
    low = int(mean)
    for kind in range(4):
        arguments = (mean, low, 65_600, np.array([1, 9]), np.array([0.5, 1.0]))
        size = draws.packet_bytes(kind, u, *arguments)
        assert 1 <= size <= draws.MAX_BYTES
        assert size == draws.packet_bytes.py_func(kind, u, *arguments)
    assert draws.exponential(u, mean) == draws.exponential.py_func(u, mean)
