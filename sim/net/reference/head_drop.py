"""CoDel at a link: it drops from the head when the link becomes free."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sim.net.codel import ROW, codel_empty, codel_step
from sim.net.links import CoDel
from sim.net.reference.packet import Packet
from sim.net.reference.queues import Waiting


class HeadDrop:
    """The control law of one link."""

    def __init__(self, queue: CoDel, drop: Callable[[Packet], None]) -> None:
        self._queue = queue
        self._drop = drop
        self._row = np.zeros(len(ROW), np.int64)

    def take(self, waiting: Waiting, now_ns: int) -> Packet | None:
        """Drop as the law says; return the packet to be served, None if none is left."""
        first = True
        while waiting.packets:
            packet = waiting.pop(now_ns)
            if not self._is_dropped(packet, first, waiting.bytes, now_ns):
                return packet
            self._drop(packet)
            first = False
        self.empty()
        return None

    def empty(self) -> None:
        """Note that the link is free and nothing waits."""
        codel_empty(self._row)

    def _is_dropped(self, packet: Packet, first: bool, behind: int, now_ns: int) -> bool:
        sojourn = now_ns - packet.arrived_ns
        target, interval = self._queue.target_ns, self._queue.interval_ns
        return codel_step(self._row, first, now_ns, sojourn, packet.bytes, behind, target, interval)
