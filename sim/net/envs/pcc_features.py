"""Features and reward of `triptych/Pcc-v1`, over the records that its kernel keeps.

The features themselves are those of `policies.congestion.interval_features`, which controllers
compute as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from policies.congestion import interval_features
from policies.congestion.base import I_ACKED, I_LOST
from policies.congestion.interval_features import account, loss_ratio, measure, received_bps

FEATURES = interval_features.FEATURES
NAMES = interval_features.NAMES

# What features remember of the connection.
FIELDS = [(name, np.float64) for name in interval_features.MEMORY]


@njit(cache=True)
def receive_rate(row: Any, known: Any) -> float:
    """Return the bits/s acknowledged; see `interval_features.received_bps`."""
    return received_bps(row, known.packet_bits, known.by_sent)


@njit(cache=True)
def remember(memory: Any, row: Any, known: Any) -> None:
    """Take an interval into the memory (FIELDS) that features rest on."""
    memory.mean_rtt, memory.received, memory.most_received, memory.sending = account(
        row,
        memory.mean_rtt,
        memory.received,
        memory.most_received,
        known.packet_bits,
        known.by_sent,
    )


@njit(cache=True)
def feature(name: int, memory: Any, row: Any) -> float:
    """Return the feature number `name` (place in NAMES) of an interval; see FEATURES."""
    return measure(
        name, row, memory.mean_rtt, memory.received, memory.most_received, memory.sending
    )


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
