"""The dual scanner's arithmetic against BlendServe's Fig. 6, and its laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.ordering.dual_scan import (
    LEAST_TOKENS,
    LEFT,
    RIGHT,
    choose_side,
    decode_requests,
    grown,
    prefill_budget,
    prefill_tokens_per_step,
    relocation_limits,
    shares_of,
    split_memory,
    steps_to_credit,
    with_room,
)

DENSITIES = st.floats(0, 500)
BOTH = (True, True)


# paper: blendserve 5.3
def test_fig_6():
    """M = 60 GB and densities 3.73, 0.096, 1.27 give the printed 19.3 and 40.7 GB."""
    left, right = split_memory(60.0, 3.73, 0.096, 1.27)
    assert 19.27 <= left <= 19.50
    assert left + right == 60.0


# paper: blendserve 5.3
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


def chosen(shares, used, waiting, credit=BOTH, idle=False):
    """Return the side that room and credit let go."""
    room = with_room(shares, used, waiting)
    return choose_side(shares, used, (room[0] and credit[0], room[1] and credit[1]), idle)


def test_sides_fill_in_proportion():
    """The emptier side goes first, a full one waits, an idle engine always gets a request."""
    assert chosen((20.0, 40.0), (5, 20), (1, 1)) == LEFT
    assert chosen((20.0, 40.0), (15, 20), (1, 1)) == RIGHT
    assert chosen((20.0, 40.0), (20, 20), (1, 1)) == RIGHT
    assert chosen((20.0, 40.0), (20, 40), (1, 1)) == -1
    assert chosen((0.0, 40.0), (0, 0), (99, 99), idle=True) == RIGHT
    assert chosen((20.0, 40.0), (5, 20), (1, 1), (False, True)) == RIGHT
    assert chosen((20.0, 40.0), (5, 20), (1, 1), (False, False)) == -1


def test_shares_that_moved_do_not_free_memory():
    """The left holds 50 of 60 when the split turns to the right: 10 are left, not 55."""
    shares = split_memory(60.0, 1.0, 0.0, 1 / 12)
    assert shares == pytest.approx((5.0, 55.0))
    assert with_room(shares, (50, 0), (1, 11)) == (False, False)
    assert with_room(shares, (50, 0), (1, 10)) == (False, True)


def test_two_requests_and_a_half():
    """A share may be passed by its last request; a full one admits nothing more."""
    assert with_room((2.5, 57.5), (2, 0), (1, 1)) == (True, True)
    assert with_room((2.5, 57.5), (3, 0), (1, 1)) == (False, True)
    assert with_room((0.5, 59.5), (0, 0), (1, 1)) == (True, True)


@given(
    st.tuples(DENSITIES, DENSITIES, DENSITIES),
    st.tuples(st.integers(0, 80), st.integers(0, 80)),
    st.tuples(st.integers(1, 80), st.integers(1, 80)),
)
@settings(deadline=None)
def test_no_admission_books_more_than_there_is(densities, used, waiting):
    """Whatever the shares were before: after an admission both accounts are within M."""
    side = chosen(split_memory(60.0, *densities), used, waiting)
    assert side == -1 or sum(used) + waiting[side] <= 60


def test_a_fixed_share_ignores_densities():
    """The ablation's constant split adds up, too."""
    assert shares_of(60.0, (3.0, 1.0), 9.0, 0.25) == (15.0, 45.0)
    assert shares_of(60.0, (3.0, 1.0), 9.0, -1.0) == split_memory(60.0, 3.0, 1.0, 9.0)


def test_severely_underestimated():
    """A multiple of the estimate, but never a handful of tokens; 0 turns it off."""
    limits = relocation_limits(np.array([0.0, 100.0, 1000.5]), 4.0)
    assert limits.tolist() == [LEAST_TOKENS, 400, 4002]
    assert relocation_limits(np.array([9.0, 1e6]), 0.0).tolist() == [0, 0]


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**12), st.integers(0, 10**6))
@settings(deadline=None)
def test_credit_grows_by_the_budget_and_not_beyond_it(credit, budget, steps):
    """Granting k steps at once equals granting them one by one; one budget is the most."""
    start = min(credit, budget)
    after = grown(start, budget, steps)
    assert after == min(budget, start + steps * budget)
    assert grown(grown(start, budget, steps // 2), budget, steps - steps // 2) == after


@given(st.integers(0, 10**12), st.integers(1, 10**9), st.integers(1, 10**9))
@settings(deadline=None)
def test_waiting_for_credit_ends_exactly_when_it_comes(debt, left, right):
    """After the announced steps one side has credit, a step earlier none had."""
    steps = steps_to_credit(BOTH, (-debt, -debt), (left, right))
    have = [max(grown(-debt, budget, k) for budget in (left, right)) for k in (steps - 1, steps)]
    assert have[1] > 0
    assert have[0] <= 0 or steps == 1


def test_no_credit_ever_without_room_or_budget():
    """A side without room is not waited for: only an event can help it."""
    assert steps_to_credit((False, False), (0, 0), (5, 5)) == 0
    assert steps_to_credit(BOTH, (0, 0), (0, 0)) == 0


# paper: blendserve alg 3
@given(st.floats(0, 1e6), st.integers(1, 10_000), st.floats(0, 1e5))
@settings(deadline=None)
def test_budget_is_algorithm_3s(share, prompt, output):
    """C = N p / d with N = M / (p + d/2), in millionths, an output counting as one at least."""
    d = max(1.0, output)
    expected = min(1e9, share / (prompt + d / 2) * prompt / d)
    assert prefill_budget(share, prompt, output) == pytest.approx(expected * 1e6, abs=1, rel=1e-9)
