"""When a link serves a packet and for how long, for each kind of capacity, in Python's integers."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Protocol

from sim.net.links import Capacity, Constant, Opportunities, Stepped

NS = 10**9


class Server(Protocol):
    """What serves the packets of a link, one after the other."""

    def begins(self, now_ns: int, arrived_ns: int) -> int:
        """Return when service of a packet that arrived then begins; the link is free now."""
        ...

    def serve(self, now_ns: int, size: int) -> int:
        """Begin service of a packet of `size` bytes; return when it ends."""
        ...

    def typical_ns(self, now_ns: int, size: int) -> int:
        """Return how long a packet takes whose service begins now, ns (for RED)."""
        ...


class SteadyServer:
    """The same rate for ever."""

    def __init__(self, rate_bps: int) -> None:
        self._rate = rate_bps

    def begins(self, now_ns: int, arrived_ns: int) -> int:
        """Return now."""
        return now_ns

    def serve(self, now_ns: int, size: int) -> int:
        """Return the end of service."""
        return now_ns - (-size * 8 * NS // self._rate)

    def typical_ns(self, now_ns: int, size: int) -> int:
        """Return bits * 10^9 / rate, rounded up."""
        return -(-size * 8 * NS // self._rate)


class SteppedServer:
    """Rates that change at given times."""

    def __init__(self, capacity: Stepped) -> None:
        self._at = capacity.at_ns
        self._rates = [round(rate) for rate in capacity.rate_bps]
        self._period = capacity.period_ns
        if self._period:
            ends = (*self._at[1:], self._period)
            pieces = zip(self._at, ends, self._rates, strict=True)
            self._per_period = sum((end - at) * rate for at, end, rate in pieces)

    def begins(self, now_ns: int, arrived_ns: int) -> int:
        """Return now."""
        return now_ns

    def serve(self, now_ns: int, size: int) -> int:
        """Use up bits * 10^9 units of work at the rate of the moment; return when that is done."""
        work, time = size * 8 * NS, now_ns
        if self._period:
            periods = (work - 1) // self._per_period
            time += periods * self._period
            work -= periods * self._per_period
        while True:
            rate, until = self._piece(time)
            needed = -(-work // rate)
            if until is None or time + needed <= until:
                return time + needed
            work -= rate * (until - time)
            time = until

    def typical_ns(self, now_ns: int, size: int) -> int:
        """Return how long service would take that begins now."""
        return self.serve(now_ns, size) - now_ns

    def _piece(self, time_ns: int) -> tuple[int, int | None]:
        """Return the rate at a time, and until when it holds."""
        phase = time_ns % self._period if self._period else time_ns
        piece = bisect_right(self._at, phase)
        end = self._at[piece] if piece < len(self._at) else self._period
        return self._rates[piece - 1], None if end is None else time_ns - phase + end


class OpportunityServer:
    """Moments at which one packet may leave: it waits for one, and then takes no time."""

    def __init__(self, capacity: Opportunities) -> None:
        self._at = capacity.at_ns
        self._period = capacity.period_ns
        self._next = 0
        self._last_departure = -1

    def begins(self, now_ns: int, arrived_ns: int) -> int:
        """Return the first unused opportunity after the arrival; departures are 1 ns apart."""
        cycle, phase = divmod(arrived_ns, self._period)
        self._next = max(self._next, cycle * len(self._at) + bisect_left(self._at, phase))
        cycle, place = divmod(self._next, len(self._at))
        return max(cycle * self._period + self._at[place], self._last_departure + 1)

    def serve(self, now_ns: int, size: int) -> int:
        """Use up the opportunity."""
        self._next += 1
        self._last_departure = now_ns
        return now_ns

    def typical_ns(self, now_ns: int, size: int) -> int:
        """Return the mean time between opportunities."""
        return max(1, self._period // len(self._at))


def server(capacity: Capacity) -> Server:
    """Return what serves at this capacity; rates are rounded to whole bit/s."""
    if isinstance(capacity, Constant):
        return SteadyServer(round(capacity.rate_bps))
    if isinstance(capacity, Stepped):
        return SteppedServer(capacity)
    return OpportunityServer(capacity)
