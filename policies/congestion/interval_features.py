"""What can be observed of a monitor interval, by name, each within bounds and without a unit.

The environments of `sim.net.envs` and the controllers that were trained in them compute features by
these very functions, so that a policy meets on any link what it met in training, bit for bit. The
first three are those of Aurora (Jay et al., ICML 2019), without its faults: docs/environments.md.

Where an interval brought no ACK, features of latency and receive rate stay what they were: they
rest on a memory of four numbers (MEMORY), which `account` brings up to date first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from policies.congestion.base import (
    I_ACK_SPAN_NS,
    I_ACKED,
    I_END_NS,
    I_FIRST_HALF_RTT_NS,
    I_LEAST_RTT_NS,
    I_LOST,
    I_MEAN_RTT_NS,
    I_MIN_RTT_NS,
    I_RTT_SLOPE,
    I_SECOND_HALF_RTT_NS,
    I_SENT,
    I_START_NS,
)

# name -> (lowest, highest, of an interval in which nothing happened)
FEATURES: dict[str, tuple[float, float, float]] = {
    # (mean RTT of the second half of the samples - of the first half) / duration
    "latency inflation": (-10.0, 10.0, 0.0),
    # mean RTT / least RTT of the connection
    "latency ratio": (1.0, 100.0, 1.0),
    # sending rate / receive rate
    "send ratio": (0.0, 10.0, 1.0),
    # lost / (acknowledged + lost)
    "loss": (0.0, 1.0, 0.0),
    # receive rate / greatest receive rate of the connection
    "throughput ratio": (0.0, 1.0, 0.0),
    # least RTT of the interval / least RTT of the connection
    "least latency ratio": (1.0, 100.0, 1.0),
    # slope of RTT over send time, as Vivace's latency gradient
    "latency slope": (-10.0, 10.0, 0.0),
    # packets sent; how far the other features can be trusted: log2(1 + n) / 20
    "packets": (0.0, 1.0, 0.0),
}
NAMES = tuple(FEATURES)

MEMORY = ("mean_rtt", "received", "most_received", "sending")
"""What features remember of the connection: ns, then bits/s of whole packets; 0 before any."""


@njit(cache=True)
def received_bps(row: Any, packet_bits: float, by_sent: Any) -> float:
    """Return the bits/s acknowledged: in the interval, or over the span of the ACKs of its packets.

    n ACKs span n - 1 gaps; an interval that begins and ends anywhere holds n of them on average.
    `by_sent` says that the row counts the packets sent in the interval (attribution `sent`).
    """
    if by_sent and row[I_ACK_SPAN_NS] > 0.0:
        return (row[I_ACKED] - 1.0) * packet_bits * 1e9 / row[I_ACK_SPAN_NS]
    return row[I_ACKED] * packet_bits * 1e9 / (row[I_END_NS] - row[I_START_NS])


@njit(cache=True)
def loss_ratio(row: Any) -> float:
    """Return lost / (acknowledged + lost); 0 without either."""
    settled = row[I_ACKED] + row[I_LOST]
    return row[I_LOST] / settled if settled > 0.0 else 0.0


@njit(cache=True)
def account(
    row: Any,
    mean_rtt: float,
    received: float,
    most_received: float,
    packet_bits: float,
    by_sent: Any,
) -> tuple[float, float, float, float]:
    """Return MEMORY with an interval taken in; the first three are what it was before."""
    sending = row[I_SENT] * packet_bits * 1e9 / (row[I_END_NS] - row[I_START_NS])
    if row[I_ACKED] > 0.0:
        mean_rtt = row[I_MEAN_RTT_NS]
        received = received_bps(row, packet_bits, by_sent)
        most_received = max(most_received, received)
    return mean_rtt, received, most_received, sending


@njit(cache=True)
def measure(
    name: int, row: Any, mean_rtt: float, received: float, most_received: float, sending: float
) -> float:
    """Return the feature number `name` (place in NAMES) of an interval, not yet brought in bounds.

    The memory is that of `account`, the interval included.
    """
    if name == 0:
        rise = row[I_SECOND_HALF_RTT_NS] - row[I_FIRST_HALF_RTT_NS]
        return rise / (row[I_END_NS] - row[I_START_NS]) if row[I_ACKED] >= 2.0 else 0.0
    if name == 1:
        return mean_rtt / row[I_MIN_RTT_NS] if mean_rtt > 0.0 else 1.0
    if name == 2:
        return sending / received if received > 0.0 else 1.0
    if name == 3:
        return loss_ratio(row)
    if name == 4:
        return received / most_received if most_received > 0.0 else 0.0
    if name == 5:
        return row[I_LEAST_RTT_NS] / row[I_MIN_RTT_NS] if row[I_ACKED] > 0.0 else 1.0
    if name == 6:
        return row[I_RTT_SLOPE]
    return np.log2(1.0 + row[I_SENT]) / 20.0
