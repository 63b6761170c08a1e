"""An open-loop source: it sends whatever the network does."""

from __future__ import annotations

from typing import Any

from sim.net import source_draws as draws
from sim.net.luck import Stream
from sim.net.reference.account import Account
from sim.net.reference.clock import SEND, Clock
from sim.net.reference.link import Link
from sim.net.reference.packet import Packet
from sim.net.scenario import Source

_exponential = draws.exponential.py_func
_whole_ns = draws.whole_ns.py_func
_spacing = draws.spacing.py_func
_packet_bytes = draws.packet_bytes.py_func


class OpenLoop:
    """Sends packets at times that it draws; `sim.net.source_draws` says how."""

    def __init__(
        self,
        clock: Clock,
        index: int,
        source: Source,
        first_link: Link,
        luck: dict[str, Stream],
        account: Account,
    ) -> None:
        self._clock = clock
        self._index = index
        self._source = source
        self._link = first_link
        self._luck = luck
        self._account = account
        self._kind = draws.SIZE_KINDS.index(source.sizes.kind)
        values, shares = draws.listed_shares(source.sizes)
        self._values, self._shares = values.tolist(), shares.tolist()
        self._mean_gap_ns = draws.mean_gap_ns(source.sizes, source.rate_bps)
        self._next_packet = 0
        self._on_until_ns = 0
        self._begin()

    def _begin(self) -> None:
        first = self._source.start_ns
        if self._source.pattern == "poisson":
            first += self._gap(0)
        elif self._source.pattern == "onoff":
            self._on_until_ns = first + self._period(self._source.on_ns)
        self._send_at(first)

    def _send_at(self, when_ns: int) -> None:
        if when_ns < self._source.stop_ns:
            self._clock.at(when_ns, SEND, self._index, self._send)

    def _send(self, _: Any) -> None:
        now = self._clock.now
        packet = Packet(self._index, self._next_packet, self._size(), now)
        self._next_packet += 1
        self._account.sent(packet, 0)
        self._link.arrive(packet)
        following = now + self._gap(packet.bytes * 8)
        if self._source.pattern == "onoff" and following >= self._on_until_ns:
            following = self._on_until_ns + self._period(self._source.off_ns)
            self._on_until_ns = following + self._period(self._source.on_ns)
        self._send_at(following)

    def _gap(self, bits: int) -> int:
        if self._source.pattern == "poisson":
            return _whole_ns(_exponential(self._luck["gaps"].uniform(), self._mean_gap_ns))
        return _spacing(bits, self._source.rate_bps)

    def _period(self, mean_ns: int) -> int:
        return _whole_ns(_exponential(self._luck["periods"].uniform(), float(mean_ns)))

    def _size(self) -> int:
        u = 0.0 if self._kind == draws.FIXED else self._luck["sizes"].uniform()
        sizes = self._source.sizes
        return _packet_bytes(
            self._kind, u, sizes.mean, sizes.low, sizes.high, self._values, self._shares
        )
