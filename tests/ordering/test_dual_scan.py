"""The dual scanner's arithmetic against BlendServe's Fig. 6, and its laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.ordering.dual_scan import (
    LEFT,
    RIGHT,
    choose_side,
    decode_requests,
    prefill_tokens_per_step,
    split_memory,
)

DENSITIES = st.floats(0, 500)


def test_fig_6():
    """M = 60 GB and densities 3.73, 0.096, 1.27 give the printed 19.3 and 40.7 GB."""
    left, right = split_memory(60.0, 3.73, 0.096, 1.27)
    assert 19.27 <= left <= 19.50
    assert left + right == 60.0


@given(DENSITIES, DENSITIES, DENSITIES)
@settings(deadline=None)
def test_shares_are_a_split(left, right, root):
    """Both shares are non-negative and add up; inside the interval the densities do too."""
    shares = split_memory(60.0, left, right, root)
    assert min(shares) >= 0
    assert sum(shares) == pytest.approx(60.0)
    if min(left, right) <= root <= max(left, right) and abs(left - right) > 1e-6:
        assert shares[0] * left + shares[1] * right == pytest.approx(60 * root, rel=1e-5, abs=1e-6)


@given(DENSITIES, DENSITIES, DENSITIES)
@settings(deadline=None)
def test_swapping_sides_swaps_shares(left, right, root):
    """The rule treats its two ends alike."""
    here, there = split_memory(60.0, left, right, root), split_memory(60.0, right, left, root)
    assert here == pytest.approx(there[::-1])


def test_silent_cases():
    """Equal densities share evenly, outside the interval one side gets all, infinity nothing."""
    assert split_memory(60.0, 1.0, 1.0, 1.0) == (30.0, 30.0)
    assert split_memory(60.0, 3.0, 1.0, 9.0) == (60.0, 0.0)
    assert split_memory(60.0, 3.0, 1.0, 0.1) == (0.0, 60.0)
    assert split_memory(60.0, np.inf, 1.0, 2.0) == (0.0, 60.0)


def test_requests_and_prefill_budget():
    """N = M / ((p + d/2) x KV), C = N p / d: one request's tokens in steady state."""
    requests = decode_requests(131_072.0 * 150, 100, 100, 131_072.0)
    assert requests == pytest.approx(1.0)
    assert prefill_tokens_per_step(4.0, 100, 50) == 8.0


def test_sides_fill_in_proportion():
    """The emptier side goes first, a full one waits, an idle engine always gets a request."""
    assert choose_side(20.0, 40.0, 5, 20, 1, 1, False) == LEFT
    assert choose_side(20.0, 40.0, 15, 20, 1, 1, False) == RIGHT
    assert choose_side(20.0, 40.0, 20, 20, 1, 1, False) == RIGHT
    assert choose_side(20.0, 40.0, 20, 40, 1, 1, False) == -1
    assert choose_side(0.0, 40.0, 0, 0, 99, 99, True) == RIGHT
