"""RED against what its paper derives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sim.net.luck import Stream
from sim.net.red import red_drop, red_in_doubt, red_probability, red_update

LOW, HIGH, MAX_P = 5.0, 15.0, 0.02


def test_average_follows_the_queue_as_the_paper_computes():
    # Section 6: after L arrivals with a queue growing by one each from empty,
    # avg_L = L + 1 + ((1 - w)^(L+1) - 1) / w; the example is w = 0.001, L = 100.
    average, w, steps = 0.0, 0.001, 100
    for queue in range(1, steps + 1):
        average = red_update(average, queue, -1, 1, w)
    assert average == pytest.approx(steps + 1 + ((1 - w) ** (steps + 1) - 1) / w)
    assert average == pytest.approx(4.88, abs=0.01)


def test_idle_time_counts_as_packets_that_found_nothing():
    waited = 10.0
    for _ in range(7):
        waited = red_update(waited, 0, -1, 1, 0.1)
    assert red_update(10.0, 0, 7_000, 1_000, 0.1) == pytest.approx(waited)
    assert red_update(10.0, 0, 0, 1_000, 0.1) == 10.0


def test_probability_is_gentle():
    points = [(4.99, 0.0), (5.0, 0.0), (10.0, 0.01), (15.0, 0.02), (22.5, 0.51), (30.0, 1.0)]
    for average, p in points:
        assert red_probability(average, LOW, HIGH, MAX_P) == pytest.approx(p, abs=1e-12)


def test_chance_decides_only_between_the_thresholds():
    assert [red_in_doubt(a, LOW, HIGH) for a in (4.99, 5.0, 29.99, 30.0)] == [0, 1, 1, 0]
    assert red_drop(4.99, 7, LOW, HIGH, MAX_P, 0.0) == (False, -1)
    assert red_drop(30.0, 7, LOW, HIGH, MAX_P, 0.999) == (True, 0)


def test_gaps_between_drops_are_uniform():
    # Section 7, method 2: with p_b constant, here 1/20, gaps are uniform. The algorithm of figure 2
    # counts the packet in hand, so the longest gap is 19, where the text of section 7 has 20.
    stream, count, gap, gaps = Stream(3), 0, 0, []
    while len(gaps) < 20_000:
        dropped, count = red_drop(10.0, count, LOW, HIGH, 0.1, stream.uniform())
        gap += 1
        if dropped:
            gaps.append(gap)
            gap = 0
    counts = np.bincount(gaps, minlength=20)[1:]
    assert len(counts) == 19
    assert stats.chisquare(counts).pvalue > 1e-3


@settings(deadline=None, max_examples=200)
@given(
    st.floats(0.0, 60.0),
    st.integers(-1, 1000),
    st.floats(0.001, 0.999),
    st.floats(0.0, 1.0, exclude_max=True),
)
def test_a_drop_is_likelier_with_a_longer_queue(average: float, count: int, p: float, u: float):
    dropped, after = red_drop(average, count, LOW, HIGH, p, u)
    assert after == (0 if dropped else -1 if average < LOW else count + 1)
    if dropped:
        assert red_drop(average + 1.0, count, LOW, HIGH, p, u)[0]
    assert (dropped, after) == red_drop.py_func(average, count, LOW, HIGH, p, u)
