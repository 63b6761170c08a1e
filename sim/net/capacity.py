"""When service ends, in whole numbers: the compiled functions of the packet engine.

Capacities are whole bit/s (`whole_bps`). Work is bits * 10^9, used up at `rate` per ns, so every
quantity is an integer. The end of each service is rounded up to a whole ns, so that a busy link
serves less than its capacity by at most 1 ns a packet: 0.07 % at 10 Gbit/s with packets of 1514
bytes, 0.7 % at 100 Gbit/s. Packets are at most 65,600 bytes, so work is
below 10^15 and nothing here overflows for times below 10^17 ns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


def whole_bps(rates: Iterable[float]) -> NDArray[np.int64]:
    """Return int64[n]: capacities rounded to whole bit/s, halves to even."""
    return np.array([round(rate) for rate in rates], np.int64)


@njit(cache=True)
def constant_end(start_ns: int, bits: int, rate_bps: int) -> int:
    """Return when service of `bits` ends that begins at `start_ns`, ns: ceil(bits 10^9 / rate)."""
    return start_ns + (bits * 1_000_000_000 + rate_bps - 1) // rate_bps


@njit(cache=True)
def stepped_end(start_ns: int, bits: int, at_ns: Any, rate_bps: Any, period_ns: int) -> int:
    """Return when service ends that begins at `start_ns`, under rates that change, ns.

    Args:
        start_ns: beginning of service, >= 0.
        bits: of the packet.
        at_ns: int64[n], when each rate begins; the first is 0.
        rate_bps: int64[n].
        period_ns: after which all is repeated; 0: the last rate holds for ever.
    """
    work = bits * 1_000_000_000
    now = start_ns
    if period_ns > 0:
        whole = _periods_used_up(work, at_ns, rate_bps, period_ns)
        if whole > 0:
            now += whole * period_ns
            work -= whole * _work_of_period(at_ns, rate_bps, period_ns)
    while True:
        phase = now % period_ns if period_ns > 0 else now
        piece = first_after(at_ns, phase) - 1
        rate = rate_bps[piece]
        needed = (work + rate - 1) // rate
        if piece + 1 < len(at_ns):
            left = at_ns[piece + 1] - phase
        elif period_ns > 0:
            left = period_ns - phase
        else:
            return now + needed
        if needed <= left:
            return now + needed
        work -= rate * left
        now += left


@njit(cache=True)
def next_opportunity(index: int, now_ns: int, at_ns: Any, period_ns: int) -> tuple[int, int]:
    """Return (time, index) of the first opportunity at `now_ns` or later, from `index` on.

    Args:
        index: of the next unused opportunity, counted from 0 through all periods.
        now_ns: the time, >= 0.
        at_ns: int64[n], times within a period, not falling.
        period_ns: length of a period.
    """
    n = len(at_ns)
    time = index // n * period_ns + at_ns[index % n]
    if time >= now_ns:
        return time, index
    index = now_ns // period_ns * n + first_after(at_ns, now_ns % period_ns - 1)
    return index // n * period_ns + at_ns[index % n], index


@njit(cache=True)
def first_after(times: Any, moment: int) -> int:
    """Return the index of the first time that is later than `moment`; len(times) if none is."""
    low, high = 0, len(times)
    while low < high:
        middle = (low + high) // 2
        if times[middle] > moment:
            high = middle
        else:
            low = middle + 1
    return low


@njit(cache=True)
def _periods_used_up(work: int, at_ns: Any, rate_bps: Any, period_ns: int) -> int:
    """Return how many whole periods pass with work left over; 0 if the first one is enough."""
    offered = 0
    for piece in range(len(at_ns)):
        end = at_ns[piece + 1] if piece + 1 < len(at_ns) else period_ns
        # Compared by division: the product may not fit into 64 bits.
        if end - at_ns[piece] > work // rate_bps[piece]:
            return 0
        offered += (end - at_ns[piece]) * rate_bps[piece]
        if offered >= work:
            return 0
    return (work - 1) // offered


@njit(cache=True)
def _work_of_period(at_ns: Any, rate_bps: Any, period_ns: int) -> int:
    total = 0
    for piece in range(len(at_ns)):
        end = at_ns[piece + 1] if piece + 1 < len(at_ns) else period_ns
        total += (end - at_ns[piece]) * rate_bps[piece]
    return total
