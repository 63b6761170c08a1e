"""RED at a link: it drops arriving packets before the queue is full."""

from __future__ import annotations

from sim.net.links import Red
from sim.net.luck import Stream
from sim.net.red import red_drop, red_in_doubt, red_update


class EarlyDrop:
    """The average queue of one link, and the packets since the last drop."""

    def __init__(self, queue: Red, luck: Stream) -> None:
        self._queue = queue
        self._luck = luck
        self._average = 0.0
        self._count = -1

    def takes(self, waiting: int, idle_ns: int, typical_ns: int) -> bool:
        """Return whether the arriving packet is dropped.

        Args:
            waiting: packets that wait.
            idle_ns: how long the link has had nothing to do; -1: it is busy.
            typical_ns: how long service of the packet would take.
        """
        q = self._queue
        low, high = float(q.low_packets), float(q.high_packets)
        self._average = red_update(self._average, waiting, idle_ns, typical_ns, q.weight)
        u = self._luck.uniform() if red_in_doubt(self._average, low, high) else 0.0
        dropped, self._count = red_drop(self._average, self._count, low, high, q.max_probability, u)
        return dropped
