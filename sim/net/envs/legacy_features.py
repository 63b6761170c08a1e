"""What PCC-RL can observe of a monitor interval, under its names, and its reward.

Rates are bits/s, times seconds (PCC-RL `src/common/sender_obs.py`). PCC-RL declares narrower
bounds than its own values keep to: without an ACK the latency ratio is 0, and the inflation falls
below -1 when a queue drains. The lower bounds here are those that hold.
"""

from __future__ import annotations

from typing import Any

from numba import njit

# name -> (lowest, highest, of an interval in which nothing happened)
FEATURES: dict[str, tuple[float, float, float]] = {
    "send rate": (0.0, 1e2, 0.0),  # unit 10 Mbit/s, as there
    "recv rate": (-1e2, 1e2, 0.0),
    "recv dur": (0.0, 100.0, 0.0),
    "send dur": (0.0, 100.0, 0.0),
    "avg latency": (0.0, 100.0, 0.0),
    "loss ratio": (0.0, 1.0, 0.0),
    "ack latency inflation": (-100.0, 10.0, 0.0),
    "sent latency inflation": (-100.0, 10.0, 0.0),
    "conn min latency": (0.0, 100.0, 0.0),
    "latency increase": (-100.0, 100.0, 0.0),
    "latency ratio": (0.0, 10000.0, 1.0),
    "send ratio": (0.0, 1000.0, 1.0),
}
NAMES = tuple(FEATURES)


@njit(cache=True)
def receive_rate(link: Any, bits: float) -> float:
    """Return PCC-RL's throughput: one packet less than arrived, even where none did."""
    return 8.0 * (link.acked * (bits / 8.0) - bits / 8.0) / link.duration


@njit(cache=True)
def send_rate(link: Any, bits: float) -> float:
    """Return the bits sent per second of the interval."""
    return 8.0 * (link.sent * (bits / 8.0)) / link.duration


@njit(cache=True)
def loss_ratio(link: Any) -> float:
    """Return lost / (acknowledged + lost); 0 without either."""
    reported = link.acked + link.lost
    return link.lost / reported if reported > 0 else 0.0


@njit(cache=True)
def _send_ratio(link: Any, bits: float) -> float:
    received, sent = receive_rate(link, bits), send_rate(link, bits)
    return sent / received if received > 0.0 and sent < 1000.0 * received else 1.0


@njit(cache=True)
def feature(name: int, link: Any, bits: float) -> float:
    """Return the feature number `name` (place in NAMES) of the interval just run."""
    if name == 0:
        return send_rate(link, bits) / 1e7
    if name == 1:
        return receive_rate(link, bits) / 1e7
    if name == 2 or name == 3:
        return link.duration
    if name == 4:
        return link.mean
    if name == 5:
        return loss_ratio(link)
    if name == 6 or name == 7:
        return link.increase / link.duration
    if name == 8:
        return link.least_mean
    if name == 9:
        return link.increase
    if name == 10:
        return link.mean / link.least_mean if link.least_mean > 0.0 else 1.0
    return _send_ratio(link, bits)


@njit(cache=True)
def reward(link: Any, known: Any) -> float:
    """Return PCC-RL's reward of the interval just run, weights 10, 1000, 2000 and scale 0.001.

    scale (throughput_weight x packets/s received - latency_weight x s - loss_weight x loss)
    """
    bits = known.packet_bits
    packets = known.throughput_weight * receive_rate(link, bits) / bits
    cost = known.latency_weight * link.mean
    return (packets - cost - known.loss_weight * loss_ratio(link)) * known.reward_scale
