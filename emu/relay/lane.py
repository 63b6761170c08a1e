"""One direction of a link: what becomes of a packet, decided from its arrival and length alone.

The Python twin of `lane.c`. The rules are those of docs/network-model.md, "Links"; random loss
and service are the reference engine's own. Times are ns since the lane's start.
"""

from __future__ import annotations

from collections import deque

from sim.net.links import DropTail, Link
from sim.net.luck import Stream
from sim.net.reference.losses import loss_process
from sim.net.reference.service import server

DELIVER, LOST, DROPPED = range(3)


class Lane:
    """A link that decides at a packet's arrival when it will leave.

    Args:
        link: what it does; its queue is a DropTail and it has no jitter.
        seed: of its random loss, below 2**64.

    Attributes:
        last_arrival_ns: when the newest packet arrived.
        last_wait_ns: what the newest packet that is delivered waits for its service.
    """

    def __init__(self, link: Link, seed: int) -> None:
        self._link, self._seed = link, seed
        self.restart()

    def restart(self) -> None:
        """Forget all packets; luck, trace and time begin anew."""
        self._loss = loss_process(self._link.loss, Stream(self._seed))
        self._server = server(self._link.capacity)
        self.last_arrival_ns = self.last_wait_ns = 0
        self._busy_until_ns = -1
        self._waiting: deque[tuple[int, int]] = deque()
        self._waiting_bytes = 0

    def arrive(self, now_ns: int, size: int) -> tuple[int, int]:
        """Decide on a packet that arrives.

        Args:
            now_ns: its arrival; one before that of the packet before counts as simultaneous.
            size: its length in bytes.

        Returns:
            The verdict, and when it leaves the link if that is DELIVER, else 0.
        """
        now_ns = self.last_arrival_ns = max(now_ns, self.last_arrival_ns)
        if self._loss is not None and self._loss.takes():
            return LOST, 0
        self._settle(now_ns)
        idle = self._busy_until_ns <= now_ns and not self._waiting
        if not idle and self._is_full(size):
            return DROPPED, 0
        start = self._server.begins(max(now_ns, self._busy_until_ns), now_ns)
        self._busy_until_ns = end = self._server.serve(start, size)
        self.last_wait_ns = start - now_ns
        if start > now_ns:
            self._waiting.append((start, size))
            self._waiting_bytes += size
        return DELIVER, end + self._link.delay_ns

    def look(self, now_ns: int) -> tuple[int, int]:
        """Return packets and bytes that wait at a time, changing nothing."""
        sizes = [size for start, size in self._waiting if start > now_ns]
        return len(sizes), sum(sizes)

    def _settle(self, now_ns: int) -> None:
        while self._waiting and self._waiting[0][0] <= now_ns:
            self._waiting_bytes -= self._waiting.popleft()[1]

    def _is_full(self, size: int) -> bool:
        queue = self._link.queue
        assert isinstance(queue, DropTail)
        if queue.packets is not None:
            return len(self._waiting) >= queue.packets
        assert queue.bytes is not None
        return self._waiting_bytes + size > queue.bytes
