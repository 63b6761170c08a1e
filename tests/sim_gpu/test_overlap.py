"""Laws of the overlap models."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.registry import UnknownNameError
from sim.gpu.combine import combine
from sim.gpu.overlap import MAX, PARTIAL, SUM, overlap_named

TIMES = st.floats(0, 1e9)
NONE, ALL = np.array([0.0]), np.array([1.0])


@given(TIMES, TIMES)
@settings(deadline=None)
def test_partial_ends_are_sum_and_max(compute, memory):
    """h = 0 is `sum` and h = 1 is `max`, bit for bit."""
    assert combine(PARTIAL, NONE, compute, memory) == combine(SUM, NONE, compute, memory)
    assert combine(PARTIAL, ALL, compute, memory) == combine(MAX, NONE, compute, memory)


@given(st.floats(0, 1), st.floats(0, 1), TIMES, TIMES)
@settings(deadline=None)
def test_more_overlap_is_never_slower(a, b, compute, memory):
    """A step's time falls with h and lies between `max` and `sum`."""
    low, high = sorted((a, b))
    slow, fast = (combine(PARTIAL, np.array([h]), compute, memory) for h in (low, high))
    assert max(compute, memory) <= fast <= slow <= compute + memory


@given(st.floats(0, 1), TIMES, TIMES, st.floats(0, 1e9))
@settings(deadline=None)
def test_more_work_is_never_faster(h, compute, memory, extra):
    """A step's time grows with either part."""
    base = combine(PARTIAL, np.array([h]), compute, memory)
    assert combine(PARTIAL, np.array([h]), compute + extra, memory) >= base * (1 - 1e-12)
    assert combine(PARTIAL, np.array([h]), compute, memory + extra) >= base * (1 - 1e-12)


def test_bad_names_and_fractions_are_refused():
    """Unknown models, a missing h and an h out of range are errors with a message."""
    with pytest.raises(UnknownNameError, match="did you mean 'partial'"):
        overlap_named("partiall", h=0.5)
    with pytest.raises(ValueError, match=r"overlap 'sum'.*'h'"):
        overlap_named("sum", h=0.5)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        overlap_named("partial", h=1.5)
