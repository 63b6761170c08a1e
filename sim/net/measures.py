"""Measures of runs that are plain arithmetic: capacity, fairness, convergence, time to rise.

Goodputs are sequences over bins of equal width; every measure is the same in any unit of rate.
"""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.net.links import Capacity, Constant, Opportunities, Stepped

HOLD_S = 2.0
"""How long a flow must stay near its final mean to count as converged."""
NEAR = 0.1
"""How near that is, as a share of the final mean."""
RISEN = 0.95
"""Share of the new capacity at which a step has been followed."""
_ROUNDING = 1e-9


def jain(rates: ArrayLike) -> float | None:
    """Return Jain's index (sum x)^2 / (n sum x^2) of shares x >= 0; None if there is none > 0.

    Jain, Chiu, Hawe, DEC-TR-301, 1984. It lies in [1/n, 1].
    """
    x = np.asarray(rates, np.float64)
    largest = float(x.max(initial=0.0))
    if largest <= 0.0:
        return None
    x = x / largest  # so that no square leaves the range of a float
    return float(x.sum() ** 2 / (len(x) * (x**2).sum()))


def mean_jain(goodputs: ArrayLike) -> float | None:
    """Return the mean over bins of Jain's index between flows; goodputs is [flows, bins].

    Bins in which nobody got anything do not count; None if there is no other.
    """
    table = np.asarray(goodputs, np.float64)
    found = [index for column in table.T if (index := jain(column)) is not None]
    return float(np.mean(found)) if found else None


def rebinned(goodput: ArrayLike, bin_s: float, wanted_s: float) -> NDArray[np.float64]:
    """Return means over bins of about `wanted_s`: whole multiples of `bin_s`, a rest is dropped.

    The last axis is that of time.
    """
    values = np.asarray(goodput, np.float64)
    together = max(1, round(wanted_s / bin_s))
    count = values.shape[-1] // together
    kept = values[..., : count * together]
    return kept.reshape(*values.shape[:-1], count, together).mean(axis=-1)


def convergence_s(
    goodput: ArrayLike, bin_s: float, final_s: float, window_s: float = 1.0
) -> float | None:
    """Return when the flow first stays within 10 % of its final mean for 2 s, s from its start.

    The goodput is looked at as moving means over `window_s`; the moment is the start of the first
    of them.

    Args:
        goodput: one flow's, from its start on.
        bin_s: width of a bin, s.
        final_s: the last so many seconds make the final mean.
        window_s: length of the moving mean, s.

    Returns:
        Seconds; None if that never happens, or if nothing is delivered in the end.
    """
    values = np.asarray(goodput, np.float64)
    window, hold = max(1, round(window_s / bin_s)), max(1, round(HOLD_S / bin_s))
    final = float(values[-max(1, round(final_s / bin_s)) :].mean()) if len(values) else 0.0
    if final <= 0.0 or len(values) < window + hold - 1:
        return None
    moving = np.convolve(values / final, np.full(window, 1.0 / window), "valid")
    near = np.abs(moving - 1.0) <= NEAR + _ROUNDING
    for start in range(len(near) - hold + 1):
        if near[start : start + hold].all():
            return start * bin_s
    return None


def rise_s(goodput: ArrayLike, bin_s: float, step_s: float, target: float) -> float | None:
    """Return how long after `step_s` the goodput first reaches 95 % of `target`, s.

    The moment is the end of the first whole bin after the step that reaches it; None: none does.
    """
    values = np.asarray(goodput, np.float64)
    first = math.ceil(step_s / bin_s - _ROUNDING)
    for place in range(first, len(values)):
        if values[place] >= RISEN * target:
            return (place + 1) * bin_s - step_s
    return None


def capacity_bits(capacity: Capacity, from_ns: int, to_ns: int, packet_bytes: int) -> float:
    """Return how many bits a link can serve from `from_ns` to before `to_ns`.

    An opportunity counts as one packet of `packet_bytes`.
    """
    if isinstance(capacity, Constant):
        return capacity.rate_bps * (to_ns - from_ns) / 1e9
    if isinstance(capacity, Opportunities):
        used = _opportunities_before(capacity, to_ns) - _opportunities_before(capacity, from_ns)
        return 8.0 * packet_bytes * used
    return _stepped_bits(capacity, to_ns) - _stepped_bits(capacity, from_ns)


def rate_at(capacity: Constant | Stepped, time_ns: int) -> float:
    """Return the capacity of a moment, bits/s."""
    if isinstance(capacity, Constant):
        return capacity.rate_bps
    within = time_ns % capacity.period_ns if capacity.period_ns else time_ns
    return capacity.rate_bps[bisect_left(capacity.at_ns, within + 1) - 1]


def _opportunities_before(capacity: Opportunities, time_ns: int) -> int:
    periods, rest = divmod(time_ns, capacity.period_ns)
    return periods * len(capacity.at_ns) + bisect_left(capacity.at_ns, rest)


def _stepped_bits(capacity: Stepped, time_ns: int) -> float:
    """Return the bits served from 0 to `time_ns`."""
    if capacity.period_ns is None:
        return _first_bits(capacity, time_ns)
    periods, rest = divmod(time_ns, capacity.period_ns)
    whole = _first_bits(capacity, capacity.period_ns)
    return periods * whole + _first_bits(capacity, rest)


def _first_bits(capacity: Stepped, time_ns: int) -> float:
    ends = (*capacity.at_ns[1:], max(time_ns, capacity.at_ns[-1]))
    pieces = zip(capacity.at_ns, ends, capacity.rate_bps, strict=True)
    return sum(rate * max(0, min(end, time_ns) - start) / 1e9 for start, end, rate in pieces)
