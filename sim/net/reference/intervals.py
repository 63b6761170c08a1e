"""Monitor intervals: when they end, and what is known of them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from policies.congestion import base
from sim.net.reference.clock import INTERVAL, Clock
from sim.net.reference.controller import Controller
from sim.net.reference.packet import Packet
from sim.net.reference.round_trip import RoundTrip

LEAST_NS = 1_000
LONGEST_NS = 1e18


class Interval:
    """What happened in one monitor interval.

    Attributes:
        id: 0, 1, 2, ...
        start_ns, end_ns: when it lasted.
        pacing_bps: the rate when it began.
        needed: it goes on until so many packets were sent.
        sent, first_sent_ns, last_sent_ns: packets sent while it lasted.
        lost: packets declared lost that it counts.
        samples: (send time, RTT, time of the ACK) of the packets acknowledged that it counts.
    """

    def __init__(self, number: int, start_ns: int) -> None:
        self.id = number
        self.start_ns = start_ns
        self.end_ns = -1
        self.pacing_bps = math.nan
        self.needed = 1.0
        self.sent = 0
        self.first_sent_ns = self.last_sent_ns = 0
        self.lost = 0
        self.samples: list[tuple[int, int, int]] = []

    def send(self, now: int) -> None:
        """Count a packet sent."""
        if not self.sent:
            self.first_sent_ns = now
        self.last_sent_ns = now
        self.sent += 1

    def is_settled(self) -> bool:
        """Return whether it has ended and the fate of each packet sent in it is known."""
        return self.end_ns >= 0 and len(self.samples) + self.lost == self.sent

    def row(self, now: int, round_trip: RoundTrip) -> Any:
        """Return what `on_interval` is told, float64[len(base.INTERVAL)]."""
        row = np.zeros(len(base.INTERVAL))
        row[base.I_NOW_NS], row[base.I_ID] = now, self.id
        row[base.I_START_NS], row[base.I_END_NS] = self.start_ns, self.end_ns
        row[base.I_SENT], row[base.I_ACKED] = self.sent, len(self.samples)
        row[base.I_LOST] = self.lost
        row[base.I_SEND_SPAN_NS] = self.last_sent_ns - self.first_sent_ns
        if self.samples:
            row[base.I_ACK_SPAN_NS] = self.samples[-1][2] - self.samples[0][2]
        self._round_trips(row)
        row[base.I_PACING_BPS] = self.pacing_bps
        row[base.I_SRTT_NS], row[base.I_MIN_RTT_NS] = round_trip.smoothed, round_trip.least
        return row

    def _round_trips(self, row: Any) -> None:
        rtts = [float(rtt) for _, rtt, _ in self.samples]
        half = len(rtts) // 2
        row[base.I_MEAN_RTT_NS] = mean(rtts)
        row[base.I_FIRST_HALF_RTT_NS] = mean(rtts[:half])
        row[base.I_SECOND_HALF_RTT_NS] = mean(rtts[half:]) if half else math.nan
        row[base.I_LEAST_RTT_NS] = min(rtts, default=math.nan)
        row[base.I_RTT_SLOPE] = slope(
            [float(s[0] - self.samples[0][0]) for s in self.samples], rtts
        )


def mean(values: list[float]) -> float:
    """Return the mean, summed up in order; NaN of nothing."""
    total = 0.0
    for value in values:
        total += value
    return total / len(values) if values else math.nan


def slope(xs: list[float], ys: list[float]) -> float:
    """Return the least-squares slope of y over x; 0 if all x are the same."""
    if len(xs) < 2:
        return 0.0
    mean_x, mean_y = mean(xs), mean(ys)
    above = below = 0.0
    for x, y in zip(xs, ys, strict=True):
        above += (x - mean_x) * (y - mean_y)
        below += (x - mean_x) * (x - mean_x)
    return above / below if below > 0.0 else 0.0


class Monitor:
    """The monitor intervals of one flow."""

    def __init__(
        self,
        clock: Clock,
        index: int,
        controller: Controller,
        round_trip: RoundTrip,
        by_sending: bool,
        stop_ns: int,
    ) -> None:
        """Count in each interval what happens in it; with `by_sending` what was sent in it."""
        self._clock = clock
        self._index = index
        self._controller = controller
        self._round_trip = round_trip
        self._by_sending = by_sending
        self._stop_ns = stop_ns
        self._current: Interval | None = None
        self._is_overdue = False
        self._unreported: deque[Interval] = deque()
        self.reported: Callable[[Interval], None] = lambda _: None
        self.changed: Callable[[], None] = lambda: None

    def begin(self) -> None:
        """Begin the next interval now."""
        now = self._clock.now
        interval = Interval(0 if self._current is None else self._current.id + 1, now)
        row = np.zeros(len(base.INTERVAL))
        row[base.I_NOW_NS], row[base.I_ID], row[base.I_START_NS] = now, interval.id, now
        row[base.I_SRTT_NS] = self._round_trip.smoothed
        row[base.I_MIN_RTT_NS] = self._round_trip.least
        self._controller.interval_begins(row, now)
        interval.pacing_bps = self._controller.pacing_bps
        least = 1.0 if self._by_sending else 0.0
        interval.needed = max(least, self._controller.interval_packets)
        self._current = interval
        self._is_overdue = False
        planned = math.floor(min(self._controller.interval_ns, LONGEST_NS))
        self._clock.at(now + max(LEAST_NS, planned), INTERVAL, self._index, self._due)

    def sent(self, packet: Packet) -> None:
        """Count a packet; if the interval has waited for it, it ends at once."""
        interval = self._current
        assert interval is not None
        packet.interval = interval
        interval.send(packet.sent_ns)
        if self._is_overdue and interval.sent >= interval.needed:
            self._clock.at(packet.sent_ns, INTERVAL, self._index, self._end)

    def acked(self, packet: Packet, now: int) -> None:
        """Count a packet acknowledged that had not been given up."""
        self._counting(packet).samples.append((packet.sent_ns, now - packet.sent_ns, now))

    def lost(self, packet: Packet) -> None:
        """Count a packet declared lost."""
        self._counting(packet).lost += 1

    def report(self) -> None:
        """Report the intervals whose account is complete, in order."""
        while self._unreported and self._unreported[0].is_settled():
            self._tell(self._unreported.popleft())

    def _counting(self, packet: Packet) -> Interval:
        interval = packet.interval if self._by_sending else self._current
        assert interval is not None
        return interval

    def _due(self, _: Any) -> None:
        interval = self._current
        assert interval is not None
        self._is_overdue = True
        if interval.sent >= interval.needed:
            self._end()

    def _end(self, _: Any = None) -> None:
        interval, now = self._current, self._clock.now
        if now >= self._stop_ns:
            return
        assert interval is not None
        interval.end_ns = now
        if self._by_sending:
            self._unreported.append(interval)
            self.report()
        else:
            self._tell(interval)
        self.begin()
        self.changed()

    def _tell(self, interval: Interval) -> None:
        now = self._clock.now
        self._controller.interval_ended(interval.row(now, self._round_trip), now)
        self.reported(interval)
