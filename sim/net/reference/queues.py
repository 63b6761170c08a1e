"""What waits at a link, and how much room there is."""

from __future__ import annotations

from collections import deque

from sim.net.links import DropTail, Queue
from sim.net.reference.packet import Packet


class Waiting:
    """Packets that wait, oldest first, and the integral of their number over time.

    Attributes:
        packets: without the one in service.
        bytes: of them.
        area: packets x ns, up to the last change.
    """

    def __init__(self) -> None:
        self.packets: deque[Packet] = deque()
        self.bytes = 0
        self.area = 0
        self._changed_ns = 0

    def push(self, packet: Packet, now_ns: int) -> None:
        """Add the newest one."""
        self.settle(now_ns)
        self.packets.append(packet)
        self.bytes += packet.bytes

    def pop(self, now_ns: int) -> Packet:
        """Take the oldest one."""
        self.settle(now_ns)
        packet = self.packets.popleft()
        self.bytes -= packet.bytes
        return packet

    def settle(self, now_ns: int) -> None:
        """Bring `area` up to a time."""
        self.area += len(self.packets) * (now_ns - self._changed_ns)
        self._changed_ns = now_ns


class Room:
    """The hard limit of a queue, in packets or in bytes."""

    def __init__(self, queue: Queue) -> None:
        self._packets = queue.packets
        self._bytes = queue.bytes if isinstance(queue, DropTail) else None

    def is_full(self, waiting: Waiting, packet: Packet) -> bool:
        """Return whether a packet that finds the link busy does not fit."""
        if self._packets is not None:
            return len(waiting.packets) >= self._packets
        assert self._bytes is not None
        return waiting.bytes + packet.bytes > self._bytes
