"""What can be observed of a monitor interval, by name, each within bounds and without a unit.

Where an interval brought no ACK, features of latency and receive rate stay what they were.
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

# What features remember of the connection.
FIELDS = [(name, np.float64) for name in ("mean_rtt", "received", "most_received", "sending")]

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


@njit(cache=True)
def receive_rate(row: Any, known: Any) -> float:
    """Return the bits/s acknowledged: in the interval, or over the span of the ACKs of its packets.

    n ACKs span n - 1 gaps; an interval that begins and ends anywhere holds n of them on average.
    """
    if known.by_sent and row[I_ACK_SPAN_NS] > 0.0:
        return (row[I_ACKED] - 1.0) * known.packet_bits * 1e9 / row[I_ACK_SPAN_NS]
    return row[I_ACKED] * known.packet_bits * 1e9 / (row[I_END_NS] - row[I_START_NS])


@njit(cache=True)
def loss_ratio(row: Any) -> float:
    """Return lost / (acknowledged + lost); 0 without either."""
    settled = row[I_ACKED] + row[I_LOST]
    return row[I_LOST] / settled if settled > 0.0 else 0.0


@njit(cache=True)
def remember(memory: Any, row: Any, known: Any) -> None:
    """Take an interval into the memory (FIELDS) that features rest on."""
    memory.sending = row[I_SENT] * known.packet_bits * 1e9 / (row[I_END_NS] - row[I_START_NS])
    if row[I_ACKED] > 0.0:
        memory.mean_rtt = row[I_MEAN_RTT_NS]
        memory.received = receive_rate(row, known)
        memory.most_received = max(memory.most_received, memory.received)


@njit(cache=True)
def _raw(name: int, memory: Any, row: Any) -> float:
    if name == 0:
        rise = row[I_SECOND_HALF_RTT_NS] - row[I_FIRST_HALF_RTT_NS]
        return rise / (row[I_END_NS] - row[I_START_NS]) if row[I_ACKED] >= 2.0 else 0.0
    if name == 1:
        return memory.mean_rtt / row[I_MIN_RTT_NS] if memory.mean_rtt > 0.0 else 1.0
    if name == 2:
        return memory.sending / memory.received if memory.received > 0.0 else 1.0
    if name == 3:
        return loss_ratio(row)
    if name == 4:
        return memory.received / memory.most_received if memory.most_received > 0.0 else 0.0
    if name == 5:
        return row[I_LEAST_RTT_NS] / row[I_MIN_RTT_NS] if row[I_ACKED] > 0.0 else 1.0
    if name == 6:
        return row[I_RTT_SLOPE]
    return np.log2(1.0 + row[I_SENT]) / 20.0


@njit(cache=True)
def feature(name: int, memory: Any, row: Any) -> float:
    """Return the feature number `name` (place in NAMES) of an interval; see FEATURES."""
    return _raw(name, memory, row)


@njit(cache=True)
def reward(memory: Any, row: Any, known: Any, link: Any) -> float:
    """Return the reward of an interval; a share of the ideal, which has 1.

    scale max(floor, throughput_weight T - latency_weight L - loss_weight X) with
    T = receive rate / (capacity (1 - p)), L = mean RTT / base RTT - 1 and X = (lost share - p) /
    (1 - p), p being the link's random loss. Sending at capacity with an empty queue has T = 1 and
    L = X = 0 in the mean. The default weights 1, 0.2, 0.7 are PCC-RL's 10 / 1000 / 2000 at the
    middle of its links (300 packets/s, base RTT 0.55 s).
    """
    arrives = 1.0 - link.loss
    share = receive_rate(row, known) / (link.capacity_bps * arrives)
    inflation = memory.mean_rtt / link.base_rtt - 1.0 if memory.mean_rtt > 0.0 else 0.0
    excess = (loss_ratio(row) - link.loss) / arrives if row[I_ACKED] + row[I_LOST] > 0.0 else 0.0
    cost = known.latency_weight * inflation + known.loss_weight * excess
    value = known.throughput_weight * share - cost
    return known.reward_scale * max(value, known.reward_floor)
