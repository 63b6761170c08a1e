"""A packet: what the network writes on it, and what its sender remembers of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim.net.reference.intervals import Interval

IN_FLIGHT, ACKNOWLEDGED, LOST, GIVEN_UP = range(4)
"""What its sender thinks of it; given up: lost, by a time-out."""


class Packet:
    """One transmission.

    Attributes:
        flow: index of its flow.
        number: 0, 1, 2, ... in the order of sending.
        bytes: size on the wire.
        sent_ns: when it was sent.
        hop: how many links it has left.
        arrived_ns: when it arrived at the link that it is on.
        wait_ns: queueing delay so far.
        delivered_ns: when it left its last link; -1: not yet.
        state: what its sender thinks of it.
        first_sent_ns, delivered_stamp_ns, prior_delivered: the sender's, for the sample of the
            delivery rate.
        tx_inflight: packets in flight just after it was sent.
        tx_lost_total: packets declared lost when it was sent.
        interval: the monitor interval that it was sent in, if any.
    """

    __slots__ = (
        "arrived_ns",
        "bytes",
        "delivered_ns",
        "delivered_stamp_ns",
        "first_sent_ns",
        "flow",
        "hop",
        "interval",
        "number",
        "prior_delivered",
        "sent_ns",
        "state",
        "tx_inflight",
        "tx_lost_total",
        "wait_ns",
    )

    def __init__(self, flow: int, number: int, size: int, sent_ns: int) -> None:
        self.flow = flow
        self.number = number
        self.bytes = size
        self.sent_ns = sent_ns
        self.hop = 0
        self.arrived_ns = sent_ns
        self.wait_ns = 0
        self.delivered_ns = -1
        self.state = IN_FLIGHT
        self.interval: Interval | None = None
