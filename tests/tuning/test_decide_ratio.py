"""The interval of a ratio: what it must hold, whatever the times are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning.decide.ratio import FEWEST, Ratio, ratio_of

times = st.floats(1.0, 1e9)
launches = st.integers(FEWEST, 40).flatmap(
    lambda n: st.lists(st.lists(times, min_size=n, max_size=n), min_size=2, max_size=4)
)


@given(launches)
def test_interval_holds_the_median_and_every_launch(found):
    half = len(found) // 2
    old, new = found[:half], found[half : 2 * half]
    ratio = ratio_of(old, new)
    assert ratio.low <= ratio.median <= ratio.high
    assert ratio.rounds == half * len(found[0])
    for before, after in zip(old, new, strict=True):
        middle = float(np.median(np.array(before) / np.array(after)))
        assert ratio.low <= middle * (1 + 1e-12)
        assert middle <= ratio.high * (1 + 1e-12)


@given(st.lists(times, min_size=FEWEST, max_size=40), st.floats(0.01, 100.0))
def test_scale_and_order_do_not_matter_and_swapping_inverts(found, factor):
    old, new = [found], [list(reversed(found))]
    ratio = ratio_of(old, new)
    scaled = ratio_of([[t * factor for t in found]], new)
    assert scaled.median == pytest.approx(ratio.median * factor)
    swapped = ratio_of(new, old)
    assert swapped.low == pytest.approx(1 / ratio.high)
    assert swapped.high == pytest.approx(1 / ratio.low)
    backwards = ratio_of([old[0][::-1]], [new[0][::-1]])
    assert backwards == ratio


@given(st.lists(times, min_size=FEWEST, max_size=40))
def test_equal_times_are_never_faster(found):
    ratio = ratio_of([found], [found])
    assert (ratio.low, ratio.median, ratio.high) == (1.0, 1.0, 1.0)
    assert not ratio.faster


def test_interval_has_the_order_statistics_of_the_binomial():
    """Ranks 3 and 10 of 12, 10 and 21 of 30: the table of any book on nonparametric statistics."""
    for count, low, high in ((6, 1, 6), (12, 3, 10), (30, 10, 21)):
        ratio = ratio_of([[float(rank) for rank in range(1, count + 1)]], [[1.0] * count])
        assert (ratio.low, ratio.high) == (low, high)


def test_interval_covers_the_true_median_about_as_often_as_it_says():
    luck = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        old = np.exp(luck.standard_cauchy(21).clip(-20, 20))
        ratio = ratio_of([old.tolist()], [[1.0] * 21])
        hits += ratio.low <= 1.0 <= ratio.high
    assert hits >= 0.92 * 400


def test_one_launch_that_disagrees_forbids_a_verdict():
    old = [[2.0] * 20, [0.9] * 6]
    new = [[1.0] * 20, [1.0] * 6]
    assert ratio_of(old[:1], new[:1]).faster
    assert not ratio_of(old, new).faster


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_times_that_cannot_be_are_refused(bad):
    with pytest.raises(ValueError, match="times: every time must be a positive number"):
        ratio_of([[1.0] * 7 + [bad]], [[1.0] * 8])


def test_too_few_rounds_and_rounds_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="rounds: 5 are too few"):
        ratio_of([[1.0] * 5], [[1.0] * 5])
    with pytest.raises(ValueError, match="shorter"):
        ratio_of([[1.0] * 8], [[1.0] * 7])


@pytest.mark.parametrize(
    ("ratio", "busy", "done", "told"),
    [
        (Ratio(1.2, 1.1, 1.3, 30), False, True, "fused: faster: 1.2 (1.1 to 1.3)"),
        (Ratio(0.8, 0.7, 0.9, 30), False, False, "not fused: slower"),
        (Ratio(1.0, 0.9, 1.1, 30), False, False, "not fused: no difference beyond noise"),
        (Ratio(1.2, 1.0, 1.3, 30), False, False, "not fused: no difference beyond noise"),
        (Ratio(1.2, 1.1, 1.3, 30), True, False, "not fused: the machine was too busy to tell"),
    ],
)
def test_verdicts(ratio, busy, done, told):
    verdict, reason = ratio.verdict("fused", busy)
    assert verdict is done
    assert reason.startswith(told)
