"""Ranges of `EnvConfig` narrowed so that whatever an environment draws lies in a box.

Kernels round what they draw (`sim.net.envs.pcc_kernel.begin_episode`): the capacity to bits/s, the
delay to nanoseconds, the queue to packets. Boxes are half-open, [low, high). So each condition has
a function of its own, from a box and the range that is drawn from to what is left of the range:
None where nothing is, and else a range whose every draw, rounded, lies in the box.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Range = tuple[float, float]

SHY = 1e-12
"""How far ends that are on no grid are set in: much more than rounding, much less than counts."""
FEWEST = 2
"""Packets of the smallest queue: 1 + floor(exp(0))."""
MOST_PACKETS = 1e9
NS_PER_S = 1_000_000_000


def on_grid(box: Range, drawn: Range, unit: float, per_one: int) -> Range | None:
    """Narrow a range whose draws are rounded to the nearest multiple of `unit`.

    Args:
        box: lowest, and what it stays below; multiples n are compared with it as n * unit.
        drawn: what is drawn from.
        unit: step of the grid.
        per_one: 1 / unit.
    """
    low, high = (min(max(end, drawn[0] - 1.0), drawn[1] + 1.0) for end in box)
    first, last = _first(low, unit), _first(high, unit) - 1
    reached = [math.floor(end * per_one + 0.5) for end in drawn]
    least, most = max(first, reached[0]), min(last, reached[1])
    if least > most:
        return None
    ends = max(drawn[0], first / per_one), min(drawn[1], last / per_one)
    return ends if ends[0] <= ends[1] else (least / per_one, least / per_one)


def _first(bound: float, unit: float) -> int:
    """Return the least n with n * unit >= bound, in the arithmetic of floats."""
    n = math.ceil(bound / unit)
    while n * unit < bound:
        n += 1
    while (n - 1) * unit >= bound:
        n -= 1
    return n


def bandwidth(box: Range, drawn: Range) -> Range | None:
    """Narrow `bandwidth_bps`, bits/s."""
    return on_grid(box, drawn, 1.0, 1)


def delay(box: Range, drawn: Range) -> Range | None:
    """Narrow `delay_s`, s."""
    return on_grid(box, drawn, 1e-9, NS_PER_S)


def queue(box: Range, drawn: Range) -> Range | None:
    """Narrow `queue_log` for a box in packets: p packets are drawn where p - 1 <= exp(u) < p."""
    low, high = (min(max(end, 0.0), MOST_PACKETS) for end in box)
    first, last = math.ceil(low), math.ceil(high) - 1
    if last < FEWEST:
        return None
    least = drawn[0] if first <= FEWEST else max(drawn[0], math.log(first - 1) + SHY)
    most = min(drawn[1], math.log(last) - SHY)
    return (least, most) if least <= most else None


def probability(box: Range, drawn: Range) -> Range | None:
    """Narrow `loss`, which is not rounded."""
    least, high = max(drawn[0], box[0]), min(box[1], 1.0)
    if least > drawn[1] or least >= high:
        return None
    return least, max(least, min(drawn[1], high - SHY * high))


NARROWED: dict[str, tuple[str, Callable[[Range, Range], Range | None]]] = {
    "bandwidth_bps": ("bandwidth_bps", bandwidth),
    "delay_s": ("delay_s", delay),
    "queue_packets": ("queue_log", queue),
    "loss_probability": ("loss", probability),
}
"""Condition of a link -> the field that it is drawn from, and how that is narrowed to a box."""
