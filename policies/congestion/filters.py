"""Windowed maximum and minimum in constant space, on six columns of a state row.

Kathleen Nichols' algorithm as in Linux lib/win_minmax.c: the best, second and third best sample are
kept, each no older than the one before, and spread over the window so that something recent is at
hand when the best grows too old. The columns hold time and value of the three, best first. Times
and windows are in any one unit (rounds, nanoseconds), values in any; times must not decrease.

The estimate is one of the samples of the last `window`, no worse than the newest one, and exact
until the best sample expires. Then it may miss the true extreme of the window: of what came after
the best, only the second and third choice are remembered.
"""

from __future__ import annotations

from typing import Any

from numba import njit

COLUMNS = 6
"""Columns that a filter takes."""
BEST = 1
"""Offset of the estimate among them."""


@njit(cache=True)
def reset(state: Any, at: int, time: float, value: float) -> float:
    """Forget everything but this sample; the filter lies in `state[at : at + COLUMNS]`."""
    for i in range(at, at + COLUMNS, 2):
        state[i] = time
        state[i + 1] = value
    return value


@njit(cache=True)
def running_max(state: Any, at: int, window: float, time: float, value: float) -> float:
    """Take in a sample and return the largest value of the last `window` (minmax_running_max)."""
    if value >= state[at + 1] or time - state[at + 4] > window:
        return reset(state, at, time, value)
    if value >= state[at + 3]:
        _put(state, at + 2, time, value)
        _put(state, at + 4, time, value)
    elif value >= state[at + 5]:
        _put(state, at + 4, time, value)
    return _age(state, at, window, time, value)


@njit(cache=True)
def running_min(state: Any, at: int, window: float, time: float, value: float) -> float:
    """Take in a sample and return the smallest value of the last `window` (minmax_running_min)."""
    if value <= state[at + 1] or time - state[at + 4] > window:
        return reset(state, at, time, value)
    if value <= state[at + 3]:
        _put(state, at + 2, time, value)
        _put(state, at + 4, time, value)
    elif value <= state[at + 5]:
        _put(state, at + 4, time, value)
    return _age(state, at, window, time, value)


@njit(cache=True)
def _put(state: Any, at: int, time: float, value: float) -> None:
    state[at] = time
    state[at + 1] = value


@njit(cache=True)
def _shift(state: Any, at: int, time: float, value: float) -> None:
    """Drop the best sample; the newest becomes the third."""
    _put(state, at, state[at + 2], state[at + 3])
    _put(state, at + 2, state[at + 4], state[at + 5])
    _put(state, at + 4, time, value)


@njit(cache=True)
def _age(state: Any, at: int, window: float, time: float, value: float) -> float:
    """Drop what is older than the window; renew stand-ins that are as old as the best."""
    age = time - state[at]
    if age > window:
        _shift(state, at, time, value)
        # The second may have expired too; the third cannot have, the caller saw to that.
        if time - state[at] > window:
            _shift(state, at, time, value)
    elif state[at + 2] == state[at] and age > window / 4.0:
        _put(state, at + 2, time, value)
        _put(state, at + 4, time, value)
    elif state[at + 4] == state[at + 2] and age > window / 2.0:
        _put(state, at + 4, time, value)
    return state[at + 1]
