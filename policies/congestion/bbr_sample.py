"""What the versions of BBR share: the delivery-rate sample of an ACK, and which ones to distrust.

Linux net/ipv4/tcp_rate.c; draft-ietf-ccwg-bbr-05, "Delivery Rate Samples". Senders here have
endless data, so a sample is application-limited only where BBR itself says so: in ProbeRTT it marks
everything that it sends until the packets in flight at the last mark have left the network.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from policies.congestion.base import (
    A_DELIVERED,
    A_INFLIGHT,
    A_MIN_RTT_NS,
    A_PRIOR_DELIVERED,
    A_SAMPLE_NS,
)

LIMITED_COLUMNS = 3
"""Columns of the marks: `delivered` at which they end (0: none), began, and ended."""


@njit(cache=True)
def delivery_rate(ack: Any, packet_bits: float) -> float:
    """Return the sample in bits/s of whole packets, -1 where it is not to be trusted.

    That is, where it spans less than the smallest RTT (tcp_rate_gen).
    """
    interval = ack[A_SAMPLE_NS]
    delivered = ack[A_DELIVERED] - ack[A_PRIOR_DELIVERED]
    if interval <= 0.0 or interval < ack[A_MIN_RTT_NS] or delivered < 0.0:
        return -1.0
    return delivered * packet_bits * 1e9 / interval


@njit(cache=True)
def mark_limited(state: Any, at: int, ack: Any) -> None:
    """Mark what is sent from now on, until all that is in flight now was delivered."""
    if state[at] == 0.0:
        state[at + 1] = ack[A_DELIVERED]
        state[at + 2] = float("inf")
    state[at] = max(ack[A_DELIVERED] + ack[A_INFLIGHT], 1.0)


@njit(cache=True)
def is_limited(state: Any, at: int, ack: Any) -> bool:
    """Return whether the newest packet was sent under a mark, and end marks that are due.

    A packet's mark is not in the event; but marks were on exactly for the packets whose
    `prior_delivered` lies between `delivered` when marking began and when it ended.
    """
    if state[at] > 0.0 and ack[A_DELIVERED] > state[at]:
        state[at] = 0.0
        state[at + 2] = ack[A_DELIVERED]
    return state[at + 1] <= ack[A_PRIOR_DELIVERED] < state[at + 2]
