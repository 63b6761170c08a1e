"""The windowed filters against a list of all samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.congestion.filters import COLUMNS, reset, running_max, running_min

SAMPLES = st.lists(st.tuples(st.integers(0, 6), st.integers(-50, 50)), min_size=1, max_size=60)
AT = 3


def run(kind, window: float, samples: list[tuple[float, float]]) -> list[float]:
    row = np.full(AT + COLUMNS + 2, 7.25)
    reset(row, AT, *samples[0])
    estimates = [samples[0][1]]
    estimates += [kind(row, AT, window, *sample) for sample in samples[1:]]
    untouched = [*row[:AT], *row[AT + COLUMNS :]]
    assert untouched == [7.25] * (AT + 2)
    return estimates


def timed(steps: list[tuple[int, int]]) -> list[tuple[float, float]]:
    times = np.cumsum([gap for gap, _ in steps])
    return [(float(t), float(value)) for t, (_, value) in zip(times, steps, strict=True)]


@settings(deadline=None)  # the first example waits for the compiler
@given(SAMPLES, st.integers(1, 20))
def test_the_maximum_is_recent_no_less_than_the_newest_and_exact_while_it_lasts(
    steps: list[tuple[int, int]], window: int
) -> None:
    samples = timed(steps)
    for i, estimate in enumerate(run(running_max, window, samples)):
        now = samples[i][0]
        recent = [v for t, v in samples[: i + 1] if now - t <= window]
        ever = max(v for _, v in samples[: i + 1])
        assert estimate in recent
        assert estimate >= samples[i][1]
        if ever in recent:
            assert estimate == ever


@settings(deadline=None)  # the first example waits for the compiler
@given(SAMPLES, st.integers(1, 20))
def test_the_minimum_is_the_maximum_upside_down(steps: list[tuple[int, int]], window: int) -> None:
    samples = timed(steps)
    flipped = [(t, -v) for t, v in samples]
    largest = run(running_max, window, samples)
    assert run(running_min, window, flipped) == [-v for v in largest]


@settings(deadline=None)  # the first example waits for the compiler
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 20))
def test_rising_samples_are_followed_exactly(gaps: list[int], window: int) -> None:
    samples = timed([(gap, i) for i, gap in enumerate(gaps)])
    assert run(running_max, window, samples) == [v for _, v in samples]


def test_a_lone_peak_is_forgotten_after_the_window() -> None:
    samples = [(0.0, 9.0)] + [(float(t), 1.0) for t in range(1, 15)]
    # Kept while its age is at most 10.
    assert run(running_max, 10.0, samples) == [9.0] * 11 + [1.0] * 4


@pytest.mark.parametrize(
    ("samples", "estimate"),
    [
        # 9 came within a quarter of the window of the best and was not kept as second choice, 5
        # was; so when the best expires the estimate is 5, though 9 is of age 10.
        ([(0.0, 10.0), (1.0, 9.0), (3.0, 5.0), (11.0, 1.0)], 5.0),
        # Here 9 became the second choice at age 3.
        ([(0.0, 10.0), (3.0, 9.0), (6.0, 5.0), (11.0, 1.0)], 9.0),
        # Best and second choice expire at once; the third was taken after half the window.
        ([(0.0, 10.0), (3.0, 9.0), (6.0, 5.0), (14.0, 1.0)], 5.0),
        # Nothing is left.
        ([(0.0, 10.0), (3.0, 9.0), (6.0, 5.0), (17.0, 1.0)], 1.0),
    ],
)
def test_three_samples_are_remembered(samples: list[tuple[float, float]], estimate: float) -> None:
    assert run(running_max, 10.0, samples)[-1] == estimate
