"""What a controller may leave in its state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.congestion.base import CWND, INTERVAL_NS, INTERVAL_PACKETS, PACING_BPS


def wrong_field(state: NDArray[np.float64], monitored: bool) -> tuple[str, float] | None:
    """Return (name, value) of the first field that is no window, rate or interval, or None."""
    if not state[CWND] > 0.0:
        return "cwnd", float(state[CWND])
    if not state[PACING_BPS] > 0.0:
        return "pacing_bps", float(state[PACING_BPS])
    if monitored and not state[INTERVAL_NS] > 0.0:
        return "interval_ns", float(state[INTERVAL_NS])
    if monitored and not state[INTERVAL_PACKETS] >= 0.0:
        return "interval_packets", float(state[INTERVAL_PACKETS])
    return None
