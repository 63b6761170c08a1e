"""What a symbolic rule may ask about: features of intervals, of late and at length, and sizes.

For every feature f (`interval_features`, blanks written as underscores) of the interval that ended:

- `f`: its value, within its bounds;
- `f_fast`, `f_slow`: exponentially weighted means of it, gains 1/2 and 1/8: the last two intervals
  or so, and the last eight;
- `f_change`: its value less `f_slow` before the interval.

Three more have units, so that a rule can tell kinds of networks apart: `min_rtt_ms` and
`received_mbps` (of whole packets) of the connection, and `sent_packets`, log2(1 + packets sent in
the interval). A kernel can compute all of it: means are a shift and an add. The latency slope is
left out, as it needs a product for every ACK.

Like an environment's history the table knows nothing of the warm-up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from policies.congestion.base import I_MIN_RTT_NS, I_SENT
from policies.congestion.interval_features import FEATURES, NAMES, measure
from policies.congestion.monitor import clamp

FAST, SLOW = 0.5, 0.125
WITHOUT = ("latency slope",)
NUMBERS = tuple(i for i, name in enumerate(NAMES) if name not in WITHOUT)
"""Places in `interval_features.NAMES` of the features that rules have."""
KINDS = 4
"""Inputs per feature: value, fast and slow mean, change."""


def _table() -> dict[str, tuple[float, float, float]]:
    table = {}
    for number in NUMBERS:
        low, high, empty = FEATURES[NAMES[number]]
        word = NAMES[number].replace(" ", "_")
        for name in (word, f"{word}_fast", f"{word}_slow"):
            table[name] = (low, high, empty)
        table[f"{word}_change"] = (low - high, high - low, 0.0)
    table["min_rtt_ms"] = (1e-3, 1e4, 100.0)
    table["received_mbps"] = (0.0, 1e4, 0.0)
    table["sent_packets"] = (0.0, 20.0, 0.0)
    return table


INPUTS = _table()
"""Name -> (lowest, highest, value before anything happened), in the order of the table."""
WIDTH = len(INPUTS)
LOW, HIGH, EMPTY = (tuple(bounds[i] for bounds in INPUTS.values()) for i in range(3))
MIN_RTT, RECEIVED, SENT_PACKETS = WIDTH - 3, WIDTH - 2, WIDTH - 1


@njit(cache=True)
def begin_inputs(table: Any, at: int) -> None:
    """Set table[at : at + WIDTH] to what it is before anything happened."""
    for i in range(WIDTH):
        table[at + i] = EMPTY[i]


@njit(cache=True)
def update_inputs(
    table: Any,
    at: int,
    row: Any,
    mean_rtt: float,
    received: float,
    most_received: float,
    sending: float,
) -> None:
    """Take an interval into the table at `at`; the memory is that of `interval_features.account`.

    Whatever the row holds, each input is finite and within its bounds afterwards.
    """
    for i in range(len(NUMBERS)):
        place = KINDS * i
        value = measure(NUMBERS[i], row, mean_rtt, received, most_received, sending)
        value = clamp(value, LOW[place], HIGH[place])
        place += at
        change = value - table[place + 2]
        table[place] = value
        table[place + 1] += FAST * (value - table[place + 1])
        table[place + 2] += SLOW * change
        table[place + 3] = change
    if row[I_MIN_RTT_NS] > 0.0:
        table[at + MIN_RTT] = clamp(row[I_MIN_RTT_NS] * 1e-6, LOW[MIN_RTT], HIGH[MIN_RTT])
    table[at + RECEIVED] = clamp(received * 1e-6, LOW[RECEIVED], HIGH[RECEIVED])
    packets = np.log2(1.0 + row[I_SENT])
    table[at + SENT_PACKETS] = clamp(packets, LOW[SENT_PACKETS], HIGH[SENT_PACKETS])


@njit(cache=True)
def update_many(tables: Any, rows: Any, memory: Any) -> None:
    """Take an interval of each of n flows into their tables.

    Args:
        tables: float64[n, WIDTH], changed in place.
        rows: float64[n, 17] as `policies.congestion.base.INTERVAL`.
        memory: float64[n, 4] as `interval_features.MEMORY`, the interval included.
    """
    for i in range(len(rows)):
        known = memory[i]
        update_inputs(tables[i], 0, rows[i], known[0], known[1], known[2], known[3])
