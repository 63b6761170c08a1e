"""Random early detection, step by step (Floyd and Jacobson, ToN 1993; gentle: Floyd 2000).

The state of a link is `average` (0 at first) and `count` (-1 at first). A packet that arrived at
`now` and was not lost at random does, in this order:

1. `average = red_update(average, waiting, idle_ns, tx_ns, weight)`. `waiting` are the packets that
   wait when it arrives. `idle_ns` is now - last departure (0 before the first one) if nothing
   waits and nothing is in service; otherwise -1. `tx_ns` is how long serving this packet would
   take if it began now; with opportunities max(1, period // their number).
2. If `red_in_doubt(average, low, high)`: u = the next number of the link's stream `red`. No
   number is drawn otherwise.
3. `dropped, count = red_drop(average, count, low, high, max_probability, u)`.

The hard limit is looked at afterwards; it changes neither average nor count.
"""

from __future__ import annotations

from numba import njit


@njit(cache=True)
def red_update(average: float, waiting: int, idle_ns: int, tx_ns: int, weight: float) -> float:
    """Return the average queue after an arrival, packets.

    An idle link (`idle_ns` >= 0) counts as m = idle / tx arrivals that found nothing waiting;
    the arrival itself is not counted then, as in the paper (section 4, figure 2).
    """
    if idle_ns >= 0:
        return average * (1.0 - weight) ** (idle_ns / tx_ns)
    return (1.0 - weight) * average + weight * waiting


@njit(cache=True)
def red_in_doubt(average: float, low: float, high: float) -> bool:
    """Return whether chance decides: low <= average < 2 high."""
    return low <= average < 2.0 * high


@njit(cache=True)
def red_probability(average: float, low: float, high: float, max_probability: float) -> float:
    """Return p_b: 0 below `low`, `max_probability` at `high`, 1 from twice `high` on."""
    if average < low:
        return 0.0
    if average < high:
        return max_probability * (average - low) / (high - low)
    if average < 2.0 * high:
        return max_probability + (1.0 - max_probability) * (average - high) / high
    return 1.0


@njit(cache=True)
def red_drop(
    average: float, count: int, low: float, high: float, max_probability: float, u: float
) -> tuple[bool, int]:
    """Return whether to drop, and the new count of packets since the last drop.

    Below `low` the count becomes -1. In doubt it grows by one, and the packet is dropped if u is
    below p_a = p_b / (1 - count p_b), or for certain where that is not below 1: gaps between
    drops become uniform (the paper's section 7), over 1 .. 1 / p_b - 1, because the algorithm of
    its figure 2 counts the packet in hand. From twice `high` on all are dropped.
    """
    if average < low:
        return False, -1
    if average >= 2.0 * high:
        return True, 0
    count += 1
    p = red_probability(average, low, high, max_probability)
    room = 1.0 - count * p
    if room <= p or u < p / room:
        return True, 0
    return False, count
