"""Ends of service and opportunities against exact fractions and plain search."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.net import capacity
from sim.net.links import Opportunities, Stepped
from sim.net.reference.service import OpportunityServer, SteppedServer

NS = 10**9
few = settings(deadline=None, max_examples=150)


@st.composite
def schedules(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    """Return times, rates, and a period or 0."""
    widths = draw(st.lists(st.integers(1, 50_000), min_size=1, max_size=6))
    rates = draw(st.lists(st.integers(10**6, 10**10), min_size=len(widths), max_size=len(widths)))
    edges = [0, *itertools.accumulate(widths)]
    return edges[:-1], rates, edges[-1] if draw(st.booleans()) else 0


def exact_end(start: int, bits: int, at: list[int], rates: list[int], period: int) -> int:
    """Return the end of service: bits served piece by piece, in fractions of a bit."""
    time, left = start, Fraction(bits)
    while True:
        phase = time % period if period else time
        piece = max(i for i, edge in enumerate(at) if edge <= phase)
        following = at[piece + 1] if piece + 1 < len(at) else period
        served = Fraction(rates[piece], NS)
        if following and served * (following - phase) < left:
            left -= served * (following - phase)
            time += following - phase
        else:
            return time + math.ceil(left / served)


@few
@given(st.integers(0, 10**15), st.integers(1, 65_600), st.floats(1.0, 1e13))
def test_constant_service_is_rounded_up(start: int, size: int, rate: float):
    whole = int(capacity.whole_bps([rate])[0])
    took = capacity.constant_end(start, 8 * size, whole) - start
    assert took == math.ceil(Fraction(8 * size * NS, whole))
    assert took >= 1


def test_rates_are_rounded_to_whole_bits_per_second():
    assert capacity.whole_bps([1.5, 2.5, 1e9 + 0.4]).tolist() == [2, 2, 10**9]


@settings(deadline=None, max_examples=25)  # the exact sum walks through every piece
@given(schedules(), st.integers(0, 300_000), st.integers(1, 2_000))
def test_stepped_service_is_exact(schedule, start: int, size: int):
    at, rates, period = schedule
    arguments = (8 * size, np.array(at), np.array(rates), period)
    end = capacity.stepped_end(start, *arguments)
    assert end == exact_end(start, 8 * size, at, rates, period)
    assert end > start
    assert capacity.stepped_end(start + 1, *arguments) >= end
    if period:
        assert capacity.stepped_end(start + 7 * period, *arguments) == end + 7 * period
    capacities = Stepped(tuple(at), tuple(map(float, rates)), period or None)
    assert SteppedServer(capacities).serve(start, size) == end


def test_many_short_periods_are_skipped_at_once():
    at, rates = np.array([0, 1]), np.array([1, 3])
    # 4 units of work per period of 2 ns: 65,600 bytes take 131,200,000,000,000 periods.
    assert capacity.stepped_end(0, 65_600 * 8, at, rates, 2) == 2 * 65_600 * 8 * NS // 4
    schedule = Stepped((0, 1), (1.0, 3.0), 2)
    assert SteppedServer(schedule).serve(0, 65_600) == 2 * 65_600 * 8 * NS // 4


def test_the_largest_rates_do_not_overflow():
    at, rates = np.array([0, 10**16]), np.array([1, 10**13])
    assert capacity.stepped_end(10**16, 65_600 * 8, at, rates, 10**17) == 10**16 + 53
    assert capacity.stepped_end(10**16 - 1, 8, at, rates, 10**17) == 10**16 + 1


@st.composite
def opportunities(draw: st.DrawFn) -> tuple[list[int], int]:
    at = sorted(draw(st.lists(st.integers(0, 60), min_size=1, max_size=8)))
    return at, at[-1] + draw(st.integers(1, 20))


@few
@given(opportunities(), st.lists(st.integers(0, 150), min_size=1, max_size=12))
def test_opportunities_are_the_first_unused_ones(trace, gaps: list[int]):
    at, period = trace
    moments = [cycle * period + moment for cycle in range(2_000) for moment in at]
    index, now = 0, 0
    for gap in gaps:
        now += gap
        time, found = capacity.next_opportunity(index, now, np.array(at), period)
        wanted = next(i for i in itertools.count(index) if moments[i] >= now)
        assert (time, found) == (moments[wanted], wanted)
        index = found + 1


@few
@given(opportunities(), st.lists(st.integers(0, 30), min_size=1, max_size=30))
def test_departures_are_the_same_in_both_engines_arithmetic(trace, gaps: list[int]):
    at, period = trace
    server = OpportunityServer(Opportunities(tuple(at), period))
    index, last, now = 0, -1, 0
    for gap in gaps:
        now += gap
        time, index = capacity.next_opportunity(index, now, np.array(at), period)
        departure = max(time, last + 1)
        assert server.begins(max(now, last), now) == departure
        server.serve(departure, 100)
        index, last = index + 1, departure
