"""CoDel against the pseudo-code of RFC 8289, section 5, written down as it stands there."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.net import codel

TARGET, INTERVAL = 5_000_000, 100_000_000
MTU = 1500


class Rfc:
    """The RFC's queue: `deque_` and `dodeque` with its variables, times in ns."""

    def __init__(self) -> None:
        self.queue: deque[tuple[int, int]] = deque()
        self.dropped: list[tuple[int, int]] = []
        self.first_above_time = self.drop_next = 0
        self.count = self.lastcount = 0
        self.dropping = False
        self.maxpacket = 0

    def dodeque(self, now: int) -> tuple[tuple[int, int] | None, bool]:
        if not self.queue:
            self.first_above_time = 0
            return None, False
        packet = self.queue.popleft()
        self.maxpacket = max(self.maxpacket, packet[1])
        ok_to_drop = False
        if now - packet[0] < TARGET or sum(size for _, size in self.queue) <= self.maxpacket:
            self.first_above_time = 0
        elif self.first_above_time == 0:
            self.first_above_time = now + INTERVAL
        elif now >= self.first_above_time:
            ok_to_drop = True
        return packet, ok_to_drop

    def deque_(self, now: int) -> tuple[int, int] | None:
        packet, ok_to_drop = self.dodeque(now)
        if self.dropping:
            if not ok_to_drop:
                self.dropping = False
            while now >= self.drop_next and self.dropping:
                assert packet is not None
                self.dropped.append(packet)
                self.count += 1
                packet, ok_to_drop = self.dodeque(now)
                if not ok_to_drop:
                    self.dropping = False
                else:
                    self.drop_next = control_law(self.drop_next, self.count)
        elif ok_to_drop:
            assert packet is not None
            self.dropped.append(packet)
            packet, ok_to_drop = self.dodeque(now)
            self.dropping = True
            delta = self.count - self.lastcount
            self.count = 1
            if delta > 1 and now - self.drop_next < 16 * INTERVAL:
                self.count = delta
            self.drop_next = control_law(now, self.count)
            self.lastcount = self.count
        return packet


def control_law(t: int, count: int) -> int:
    return t + int(INTERVAL / math.sqrt(count))


class Ours:
    """The same queue, run by `codel_step` as its module says."""

    def __init__(self) -> None:
        self.queue: deque[tuple[int, int]] = deque()
        self.dropped: list[tuple[int, int]] = []
        self.row = np.zeros(len(codel.ROW), np.int64)

    def deque_(self, now: int) -> tuple[int, int] | None:
        first = True
        while self.queue:
            packet = self.queue.popleft()
            behind = sum(size for _, size in self.queue)
            arguments = (now, now - packet[0], packet[1], behind, TARGET, INTERVAL)
            if not codel.codel_step(self.row, first, *arguments):
                return packet
            self.dropped.append(packet)
            first = False
        codel.codel_empty(self.row)
        return None


arrivals = st.lists(
    st.tuples(st.integers(0, 40_000_000), st.sampled_from([40, MTU]), st.integers(0, 3)),
    min_size=20,
    max_size=150,
)


@settings(deadline=None, max_examples=150)
@given(arrivals, st.integers(1, 30_000_000))
def test_takes_and_drops_what_the_rfc_does(steps: list[tuple[int, int, int]], service: int):
    rfc, ours = Rfc(), Ours()
    now = 1
    for gap, size, burst in steps:
        for _ in range(burst):
            rfc.queue.append((now, size))
            ours.queue.append((now, size))
        now += service + gap // 8
        assert rfc.deque_(now) == ours.deque_(now)
        assert rfc.dropped == ours.dropped
        variables = [rfc.first_above_time, rfc.dropping, rfc.drop_next, rfc.count, rfc.lastcount]
        assert ours.row[:5].tolist() == variables


def test_a_standing_queue_is_dropped_at_a_rising_rate():
    ours, now = Ours(), 0
    times = []
    for step in range(2_000):
        now = step * 1_000_000
        ours.queue.extend([(now - 20_000_000, MTU)] * (9 if step == 0 else 1))
        before = len(ours.dropped)
        ours.deque_(now)
        if len(ours.dropped) > before:
            ours.queue.append((now - 20_000_000, MTU))
            times.append(now)
    gaps = np.diff(times) / 1e6
    expected = 100.0 / np.sqrt(np.arange(1, len(gaps) + 1))
    assert times[0] == INTERVAL
    np.testing.assert_allclose(gaps, expected, atol=1.5)


def test_short_waits_and_short_queues_are_never_dropped():
    ours = Ours()
    for step in range(1_000):
        now = step * 1_000_000
        ours.queue.extend([(now - TARGET + 1, MTU)] * 2)
        ours.deque_(now)
        ours.deque_(now)
        ours.queue.append((now - 50_000_000, MTU))
        ours.deque_(now)
    assert ours.dropped == []
