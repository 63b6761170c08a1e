"""A link: random loss, queue, service, propagation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from sim.net import links, result
from sim.net.luck import Stream
from sim.net.reference.clock import DELIVERY, HOP, SERVICE, Clock
from sim.net.reference.early_drop import EarlyDrop
from sim.net.reference.head_drop import HeadDrop
from sim.net.reference.losses import loss_process
from sim.net.reference.packet import Packet
from sim.net.reference.queues import Room, Waiting
from sim.net.reference.service import server

LOSS, RED, QUEUE, CODEL = range(len(result.CAUSES))


class Route:
    """Where packets go from a link, and who hears of those that it drops.

    Attributes:
        is_last: for each flow, whether this is the last link of its path.
        onward: takes a packet that leaves the link.
        dropped: takes (packet, link, cause, time) of one that it drops.
    """

    def __init__(
        self,
        is_last: list[bool],
        onward: Callable[[Packet], None],
        dropped: Callable[[Packet, int, int, int], None],
    ) -> None:
        self.is_last = is_last
        self.onward = onward
        self.dropped = dropped


class Link:
    """One direction of a link.

    Attributes:
        waiting: the queue.
        serving: the packet in service, if any.
        propagating: packets that were served and have not yet left, oldest first.
        totals: columns of `result.LINK_TOTALS`.
    """

    def __init__(
        self, clock: Clock, index: int, link: links.Link, luck: dict[str, Stream], route: Route
    ) -> None:
        self.waiting = Waiting()
        self.serving: Packet | None = None
        self.propagating: deque[Packet] = deque()
        self.totals = [0] * len(result.LINK_TOTALS)
        self._clock = clock
        self._index = index
        self._route = route
        self._delay_ns = link.delay_ns
        self._jitter_ns = link.jitter_ns
        self._jitter_luck = luck["jitter"]
        self._loss = loss_process(link.loss, luck["loss"])
        self._server = server(link.capacity)
        self._room = Room(link.queue)
        self._early_drop: EarlyDrop | None = None
        self._head_drop: HeadDrop | None = None
        if isinstance(link.queue, links.Red):
            self._early_drop = EarlyDrop(link.queue, luck["red"])
        elif isinstance(link.queue, links.CoDel):
            self._head_drop = HeadDrop(link.queue, self._drop_at_head)
        self._started_ns = 0
        self._departed_ns = 0
        self._left_ns = -1

    def arrive(self, packet: Packet) -> None:
        """Take a packet from its sender or from the link before."""
        now = self._clock.now
        packet.arrived_ns = now
        self.totals[result.ARRIVED] += 1
        if self._loss is not None and self._loss.takes():
            return self._drop(packet, LOSS)
        if self._early_drop is not None and self._takes_early(self._early_drop, packet):
            return self._drop(packet, RED)
        idle = self._is_idle()
        if not idle and self._room.is_full(self.waiting, packet):
            return self._drop(packet, QUEUE)
        self.waiting.push(packet, now)
        if idle:
            self._engage()

    def finish(self, end_ns: int) -> None:
        """Close the books at the end of the run."""
        self.waiting.settle(end_ns)

    def contents(self) -> list[Packet]:
        """Return the packets on the link."""
        serving = [] if self.serving is None else [self.serving]
        return [*self.waiting.packets, *serving, *self.propagating]

    def _is_idle(self) -> bool:
        return self.serving is None and not self.waiting.packets

    def _takes_early(self, early_drop: EarlyDrop, packet: Packet) -> bool:
        now = self._clock.now
        idle_ns = now - self._departed_ns if self._is_idle() else -1
        typical_ns = self._server.typical_ns(now, packet.bytes)
        return early_drop.takes(len(self.waiting.packets), idle_ns, typical_ns)

    def _engage(self) -> None:
        """The link is free and a packet waits: serve it, or wait for the moment to do so."""
        now = self._clock.now
        begins = self._server.begins(now, self.waiting.packets[0].arrived_ns)
        if begins > now:
            self._clock.at(begins, SERVICE, self._index, self._serve)
        else:
            self._serve()

    def _serve(self, _: Any = None) -> None:
        now = self._clock.now
        packet = self._take(now)
        if packet is None:
            return
        packet.wait_ns += now - packet.arrived_ns
        self.serving = packet
        self._started_ns = now
        ends = self._server.serve(now, packet.bytes)
        if ends > now:
            self._clock.at(ends, SERVICE, self._index, self._depart)
        else:
            self._depart()

    def _take(self, now: int) -> Packet | None:
        if self._head_drop is not None:
            return self._head_drop.take(self.waiting, now)
        return self.waiting.pop(now)

    def _depart(self, _: Any = None) -> None:
        """Service has ended: the packet propagates, and the link is free for the next one."""
        packet, now = self.serving, self._clock.now
        assert packet is not None
        totals = self.totals
        totals[result.SERVED] += 1
        totals[result.SERVED_BYTES] += packet.bytes
        totals[result.L_WAIT_SUM_NS] += self._started_ns - packet.arrived_ns
        totals[result.BUSY_NS] += now - self._started_ns
        self.serving = None
        self._departed_ns = now
        self._propagate(packet, now)
        if self.waiting.packets:
            self._engage()
        elif self._head_drop is not None:
            self._head_drop.empty()

    def _propagate(self, packet: Packet, now: int) -> None:
        delay = self._delay_ns
        if self._jitter_ns:
            drawn = int(self._jitter_luck.uniform() * (self._jitter_ns + 1))
            delay += min(drawn, self._jitter_ns)
        leaves = max(now + delay, self._left_ns + 1)
        self._left_ns = leaves
        self.propagating.append(packet)
        kind = DELIVERY if self._route.is_last[packet.flow] else HOP
        self._clock.at(leaves, kind, self._index, self._leave)

    def _leave(self, _: Any) -> None:
        self._route.onward(self.propagating.popleft())

    def _drop(self, packet: Packet, cause: int) -> None:
        self.totals[result.L_DROPPED] += 1
        self._route.dropped(packet, self._index, cause, self._clock.now)

    def _drop_at_head(self, packet: Packet) -> None:
        self._drop(packet, CODEL)
