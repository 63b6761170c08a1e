"""A long run needs memory for what is in flight, not for what has passed."""

from __future__ import annotations

import psutil
import pytest

from sim.net import result
from sim.net.engine import Session
from sim.net.links import Constant, DropTail, Link
from sim.net.scenario import SECOND, Flow, Scenario
from tests.net.scenarios import MS, link, over

FLOWS = 100
SECONDS = 10_000
CONTROLLERS = ("reno", "cubic", "bbr", "vegas")
WORD = 8


def resident() -> int:
    return psutil.Process().memory_info().rss


@pytest.mark.extensive
def test_ten_thousand_seconds_of_a_hundred_flows():
    bottleneck = Link(Constant(1e7), 50 * MS, DropTail(packets=300))
    flows = tuple(Flow(CONTROLLERS[i % len(CONTROLLERS)], name=f"flow {i}") for i in range(FLOWS))
    session = Session(Scenario((bottleneck,), flows, SECONDS * SECOND))
    session.run_until(SECONDS // 100 * SECOND)
    early_words, early_bytes = len(session.w), resident()
    session.run_until(SECONDS * SECOND)
    found = session.result()
    sent = int(found.totals[:, result.ALL_SENT].sum())
    assert sent > 8_000_000
    # A flow's ring holds a power of two of packets, 8 words each, and a full one leaves its old
    # place behind, which is as much again. What a ring must hold goes back to the oldest packet
    # whose fate the sender does not know: 1024 packets are far more than the 300 + 83 that the
    # path holds, and would cost 1.3 MB in all; a record of what passed would be some 500 MB.
    assert len(session.w) - early_words < 2 * 1024 * 8 * 20
    # The allocator and the interpreter have some slack of their own.
    assert resident() - early_bytes < len(session.w) * WORD + 16 * 2**20


def test_a_ring_is_as_large_as_what_is_in_flight():
    def words(rate_bps: float, seconds: float) -> int:
        session = Session(over(link(rate_bps, 50, 200), Flow("cubic"), seconds))
        session.run_until(round(seconds * SECOND))
        return len(session.w)

    # A hundred times longer: not a word more.
    assert words(1e7, 20.0) == words(1e7, 2000.0)
    # Ten times the pipe, 8300 packets: larger, by rings of at most 2 x 2 x 8300 rows of 8 words.
    assert 0 < words(1e9, 20.0) - words(1e7, 20.0) < 4 * 8300 * 2 * 8
