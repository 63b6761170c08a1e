"""A receiver: it acknowledges packets, at once or a few at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sim.net.reference.clock import ACK, ACK_DUE, ACK_DUE_LAST, Clock
from sim.net.reference.packet import Packet
from sim.net.scenario import Flow


class Receiver:
    """The far end of a controlled flow. ACKs reach the sender after a pure delay."""

    def __init__(
        self, clock: Clock, index: int, flow: Flow, return_ns: int, acked: Callable[[Any], None]
    ) -> None:
        """Acknowledge to `acked(event)`, whose value is a list of packets, oldest first."""
        self._clock = clock
        self._index = index
        self._every = flow.ack_every
        self._timeout_ns = flow.ack_timeout_ns
        self._return_ns = return_ns
        self._acked = acked
        self._pending: list[Packet] = []
        self._last_number = -1

    def receive(self, packet: Packet) -> None:
        """Take a packet that has left its last link."""
        pending = self._pending
        pending.append(packet)
        in_order = packet.number == self._last_number + 1
        self._last_number = packet.number
        if len(pending) >= self._every or not in_order:
            self._acknowledge()
        elif len(pending) == 1:
            due = self._clock.now + self._timeout_ns
            kind = ACK_DUE_LAST if self._return_ns else ACK_DUE
            self._clock.at(due, kind, self._index, self._time_is_up, packet)

    def _time_is_up(self, event: Any) -> None:
        if self._pending and self._pending[0] is event.value:
            self._acknowledge()

    def _acknowledge(self) -> None:
        arrives = self._clock.now + self._return_ns
        self._clock.at(arrives, ACK, self._index, self._acked, self._pending)
        self._pending = []
