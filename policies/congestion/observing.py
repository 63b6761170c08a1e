"""A flow that keeps the history of observations that networks of `triptych/Pcc-v1` decide by.

In the constants a description of it lies as `observed` leaves it: features per interval, intervals;
then of each feature its number in `interval_features.NAMES`, its bounds, and its value before
anything happened. The history, the oldest interval first, is rounded to float32 as the
environment's observations are, and several networks may decide by it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from policies.congestion.interval_features import FEATURES, NAMES, measure
from policies.congestion.monitor import clamp
from policies.congestion.network_files import Trained
from policies.congestion.steering import MEAN_RTT, MOST_RECEIVED, RECEIVED, SENDING

PER_FEATURE = 4


@njit(cache=True)
def forget(state: Any, column: int, constants: Any, place: int) -> None:
    """Set the history, from `column` on, to what it is before anything happened.

    Args:
        state: of the flow.
        column: first one of the history.
        constants: of the controller.
        place: where the description lies in them.
    """
    width = int(constants[place])
    for i in range(width * int(constants[place + 1])):
        state[column + i] = constants[place + 2 + PER_FEATURE * (i % width) + 3]


@njit(cache=True)
def remember(state: Any, column: int, interval: Any, constants: Any, place: int) -> None:
    """Append an interval's features to the history, as float32 within their bounds.

    `steering.take_in` has taken it into the memory. Arguments are as for `forget`.
    """
    width = int(constants[place])
    last = column + width * (int(constants[place + 1]) - 1)
    for i in range(column, last):
        state[i] = state[i + width]
    for i in range(width):
        at = place + 2 + PER_FEATURE * i
        value = measure(
            int(constants[at]),
            interval,
            state[MEAN_RTT],
            state[RECEIVED],
            state[MOST_RECEIVED],
            state[SENDING],
        )
        value = clamp(value, constants[at + 1], constants[at + 2])
        state[last + i] = np.float64(np.float32(value))


@njit(cache=True)
def behind(constants: Any, place: int) -> int:
    """Return the place after the description that lies at `place`."""
    return place + 2 + PER_FEATURE * int(constants[place])


def observed(trained: Trained) -> list[float]:
    """Return the description of what a network observes."""
    told: list[float] = [len(trained.features), trained.history]
    for name in trained.features:
        told += [NAMES.index(name), *FEATURES[name]]
    return told
