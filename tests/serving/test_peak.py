"""Laws of the predicted peak."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.engine.peak import predicted_peak

REQUESTS = st.lists(st.tuples(st.integers(1, 50), st.integers(-3, 40)), min_size=1, max_size=8)


def played(held, remaining):
    """Return the peak of a batch that is played forward token by token."""
    held, left, peak = held.copy(), np.maximum(1, remaining), 0
    while held.size:
        held, left = held + 1, left - 1
        peak = max(peak, int(held.sum()))
        held, left = held[left > 0], left[left > 0]
    return peak


@given(REQUESTS)
@settings(deadline=None)
def test_peak_is_that_of_playing_forward(requests):
    """The formula over the ends equals counting step by step."""
    held, remaining = np.array(requests, np.int64).T
    assert predicted_peak(held, remaining) == played(held, remaining)


@given(REQUESTS, st.tuples(st.integers(1, 50), st.integers(1, 40)), st.integers(1, 5))
@settings(deadline=None)
def test_waiting_lowers_the_peak_by_at_most_a_token_a_step(requests, candidate, steps):
    """What the skip-ahead relies on: with all decoding and nobody leaving, k steps save <= k."""
    held, remaining = np.array(requests, np.int64).T
    keep = remaining > steps
    if not keep.any():
        return
    held, remaining = held[keep], remaining[keep]
    now = predicted_peak(np.r_[held, candidate[0]], np.r_[remaining, candidate[1]])
    then = predicted_peak(np.r_[held + steps, candidate[0]], np.r_[remaining - steps, candidate[1]])
    assert then >= now - steps
