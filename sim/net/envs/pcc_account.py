"""The account of a monitor interval, in the layout of `policies.congestion.base.INTERVAL`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from policies.congestion.base import (
    I_ACK_SPAN_NS,
    I_ACKED,
    I_FIRST_HALF_RTT_NS,
    I_LEAST_RTT_NS,
    I_MEAN_RTT_NS,
    I_MIN_RTT_NS,
    I_RTT_SLOPE,
    I_SECOND_HALF_RTT_NS,
    I_SRTT_NS,
)
from sim.net.envs.pcc_link import NOTHING


@njit(cache=True)
def count(sent: Any, heard: Any, first: int, stop: int) -> Any:
    """Return the tally of [first, stop), as `hear_until` does."""
    samples, total, least = NOTHING
    for place in range(first, stop):
        good = heard[place] > 0
        rtt = heard[place] - sent[place]
        total += rtt if good else 0
        least = min(least, rtt if good else least)
        samples += good
    return samples, total, least


@njit(cache=True)
def describe(
    link: Any, sent: Any, heard: Any, first: int, stop: int, tally: Any, known: Any, row: Any
) -> None:
    """Fill in what the acknowledged packets of [first, stop) tell, whose tally is known.

    Means are sums of integers divided once, so their order does not matter.
    """
    samples, total, least = tally
    oldest, newest = first, stop - 1
    while oldest <= newest and heard[oldest] <= 0:
        oldest += 1
    while newest > oldest and heard[newest] <= 0:
        newest -= 1
    row[I_ACKED] = samples
    row[I_ACK_SPAN_NS] = heard[newest] - heard[oldest] if samples else 0
    row[I_LEAST_RTT_NS] = least if samples else np.nan
    row[I_MEAN_RTT_NS] = total / samples if samples else np.nan
    row[I_SRTT_NS] = link.srtt if link.min_rtt > 0 else np.nan
    row[I_MIN_RTT_NS] = link.min_rtt if link.min_rtt > 0 else np.nan
    _halves(sent, heard, oldest, samples, total, row)
    row[I_RTT_SLOPE] = 0.0
    if known.slope and samples > 1:
        row[I_RTT_SLOPE] = _slope(sent, heard, oldest, newest + 1, samples, total / samples)


@njit(cache=True)
def _halves(sent: Any, heard: Any, first: int, samples: int, total: int, row: Any) -> None:
    row[I_FIRST_HALF_RTT_NS] = row[I_SECOND_HALF_RTT_NS] = np.nan
    if samples < 2:
        return
    half, early, count, place = samples // 2, 0, 0, first
    while count < half:
        good = heard[place] > 0
        early += heard[place] - sent[place] if good else 0
        count += good
        place += 1
    row[I_FIRST_HALF_RTT_NS] = early / half
    row[I_SECOND_HALF_RTT_NS] = (total - early) / (samples - half)


@njit(cache=True)
def _slope(sent: Any, heard: Any, first: int, stop: int, samples: int, mean_y: float) -> float:
    """Return the least-squares slope of RTT over send time, ns/ns."""
    when = 0
    for place in range(first, stop):
        if heard[place] > 0:
            when += sent[place] - sent[first]
    mean_x, xy, xx = when / samples, 0.0, 0.0
    for place in range(first, stop):
        if heard[place] > 0:
            x = (sent[place] - sent[first]) - mean_x
            xy += x * ((heard[place] - sent[place]) - mean_y)
            xx += x * x
    return xy / xx if xx > 0.0 else 0.0
