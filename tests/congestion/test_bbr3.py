"""BBRv3 on a pipe of 1 packet/ms and 30 ms RTT, so the BDP is 30 packets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from policies.congestion import bbr3_probe_bw as probe_bw
from policies.congestion import bbr3_state as s
from policies.congestion.base import ACK, CWND, LOSS, PACING_BPS
from policies.congestion.bbr3 import Bbr3
from tests.congestion.bbr_pipe import (
    BDP,
    DELAY_NS,
    RATE_BPS,
    RTT_NS,
    SECOND,
    SERVICE_NS,
    Pipe,
    Trace,
    new_state,
    row,
    spells,
    survive_odd_events,
)

NOTHING = np.zeros(0)
COLUMNS = (s.MODE, CWND, PACING_BPS, s.BW, s.MIN_RTT_NS, s.INFLIGHT_LONGTERM, s.ROUND_COUNT)
TIME, INFLIGHT, MODE, WINDOW, RATE, BW, MIN_RTT, LONGTERM, ROUNDS = range(2 + len(COLUMNS))


def watched(pipe: Pipe, seconds: float) -> np.ndarray:
    trace = Trace(pipe, *COLUMNS)
    pipe.run(int(seconds * SECOND))
    return trace.array()


@pytest.fixture(scope="module")
def steady() -> Any:
    """Return a pipe with an endless queue and its trace over 16 s."""
    pipe = Pipe(Bbr3)
    return pipe, watched(pipe, 16)


@pytest.fixture(scope="module")
def shallow() -> Any:
    """Return a pipe where 20 packets may wait, and its trace over 9 s."""
    pipe = Pipe(Bbr3, buffer=20.0)
    return pipe, watched(pipe, 9)


def of_mode(seen: np.ndarray, mode: float) -> list[tuple[float, float, float]]:
    return [p for p in spells(seen[:, TIME], seen[:, MODE]) if p[0] == mode]


def test_the_first_window_is_paced_over_a_millisecond_and_then_over_the_rtt() -> None:
    pipe = Pipe(Bbr3)
    # 2.77 x 10 packets x 12112 bits / 1 ms = 335.5024 Mbit/s.
    assert pipe.state[PACING_BPS] == pytest.approx(335.5024e6)
    pipe.run(RTT_NS)
    assert pipe.state[PACING_BPS] == pytest.approx(335.5024e6 / 30.0)


def test_startup_fills_the_pipe_and_drain_empties_the_queue(steady: Any) -> None:
    _, seen = steady
    modes = spells(seen[:, TIME], seen[:, MODE])
    # Drained to the BDP, it need not slow down any more: DOWN lasts but for an ACK.
    assert [mode for mode, _, _ in modes[:2]] == [s.STARTUP, s.DRAIN]
    assert modes[2][0] in (s.DOWN, s.CRUISE)
    (_, _, filled), (_, _, drained) = modes[:2]
    assert filled < 0.4
    assert drained - filled < 0.08
    at_fill, at_drain = (np.searchsorted(seen[:, TIME], t) for t in (filled, drained))
    # Window gain 2: a BDP of queue, a few packets for bunched ACKs beside.
    assert 1.9 * BDP < seen[at_fill, INFLIGHT] < 2.0 * BDP + 12.0
    assert seen[at_drain, INFLIGHT] == BDP
    drain = seen[at_fill:at_drain]
    assert drain[:, RATE] == pytest.approx(0.5 * 0.99 * RATE_BPS, rel=1e-6)


def test_each_phase_of_probe_bw_has_its_gain(steady: Any) -> None:
    _, seen = steady
    order = [mode for mode, b, _ in spells(seen[:, TIME], seen[:, MODE]) if 0.5 < b < 5.0]
    once = [s.CRUISE, s.REFILL, s.UP, s.DOWN]
    start = order.index(s.CRUISE)
    assert order[start : start + 12] == once * 3
    for mode, gain in ((s.DOWN, 0.9), (s.CRUISE, 1.0), (s.REFILL, 1.0), (s.UP, 1.25)):
        phase = seen[seen[:, MODE] == mode]
        assert phase[:, RATE] == pytest.approx(gain * 0.99 * RATE_BPS, rel=1e-6)
    up = seen[seen[:, MODE] == s.UP]
    # UP goes on for three rounds without growth, to the window of 2.25 BDP at most.
    assert 1.25 * BDP < up[:, INFLIGHT].max() <= 2.25 * BDP + 3.0 + 2.0
    assert np.all(seen[seen[:, TIME] > 0.5, BW] <= RATE_BPS * (1.0 + 1e-9))


def test_a_small_bdp_probes_as_often_as_reno_would(steady: Any) -> None:
    _, seen = steady
    # From DOWN on 29.x to 30 rounds pass, one or none of which the draw has already counted.
    for _, begin, _ in of_mode(seen, s.REFILL)[1:4]:
        down = max(b for _, b, _ in of_mode(seen, s.DOWN) if b < begin)
        first, last = (np.searchsorted(seen[:, TIME], t) for t in (down, begin))
        assert seen[last, ROUNDS] - seen[first, ROUNDS] in (29.0, 30.0)


def test_the_wait_is_two_to_three_seconds_and_none_or_one_round() -> None:
    waits, rounds = [], []
    for seed in range(300):
        state = new_state(Bbr3, seed)
        probe_bw.start_down(state, 5e9, 100.0)
        waits.append(state[s.BW_PROBE_WAIT] / 1e9)
        rounds.append(state[s.ROUNDS_SINCE_BW_PROBE])
        assert state[s.CYCLE_STAMP] == 5e9
    assert 2.0 <= min(waits) < 2.05
    assert 2.95 < max(waits) < 3.0
    assert set(rounds) == {0.0, 1.0}
    assert 0.35 < np.mean(rounds) < 0.65


def test_probe_rtt_every_five_seconds_for_200_ms_at_half_the_bdp(steady: Any) -> None:
    _, seen = steady
    probes = of_mode(seen, s.PROBE_RTT)
    assert len(probes) == 3
    for _, begin, end in probes:
        spell = seen[(seen[:, TIME] >= begin) & (seen[:, TIME] < end)]
        assert spell[:, WINDOW] == pytest.approx(0.5 * BDP)
        small = spell[spell[:, INFLIGHT] <= 0.5 * BDP]
        # 200 ms, and at most half a round until the next ACK.
        assert 0.2 < end - small[0, TIME] < 0.2 + 0.016
        after = seen[seen[:, TIME] >= end]
        assert after[0, MODE] == s.CRUISE
        assert after[0, WINDOW] > 2.0 * BDP
        assert spell[-1, BW] == pytest.approx(RATE_BPS, rel=1e-9)
    starts = [begin for _, begin, _ in probes]
    ends = [end for _, _, end in probes]
    # Five seconds after the last one ended, as no smaller RTT came in between.
    assert np.subtract(starts[1:], ends[:-1]) == pytest.approx([5.0, 5.0], abs=0.002)


def test_the_least_rtt_is_remembered_for_ten_seconds() -> None:
    longer = DELAY_NS + 10_000_000
    pipe = Pipe(Bbr3, delay=lambda t: DELAY_NS if t < SECOND else longer)
    seen = watched(pipe, 12)
    changed = seen[np.flatnonzero(np.diff(seen[:, MIN_RTT]) > 0.0) + 1]
    assert changed[0, TIME] > 10.0
    assert changed[0, MIN_RTT] == longer + SERVICE_NS


def test_startup_ends_for_loss_before_the_plateau(steady: Any, shallow: Any) -> None:
    _, deep = steady
    pipe, seen = shallow
    (_, _, plateau) = of_mode(deep, s.STARTUP)[0]
    (_, _, end) = of_mode(seen, s.STARTUP)[0]
    assert end < plateau - 0.05
    longterm = seen[np.searchsorted(seen[:, TIME], end), LONGTERM]
    # The path holds 30 packets and 20 waiting ones; what a round delivered is near that.
    assert BDP <= longterm <= 55.0
    assert pipe.lost < 200


def test_few_losses_do_not_end_startup() -> None:
    # One packet in 100: no round of Startup loses over 2 % in six ranges.
    pipe = Pipe(Bbr3, loses=lambda number: number % 100 == 50)
    seen = watched(pipe, 0.3)
    assert of_mode(seen, s.STARTUP)[0][2] > 0.25
    assert seen[-1, LONGTERM] == float("inf")


def test_probing_finds_what_the_path_holds_and_cruising_leaves_headroom(shallow: Any) -> None:
    _, seen = shallow
    late = seen[seen[:, TIME] > 2.0]
    # 30 on the way, 20 waiting: beyond 51 in flight packets are lost.
    assert np.all((late[:, LONGTERM] > 45.0) & (late[:, LONGTERM] < 56.0))
    cruise = late[late[:, MODE] == s.CRUISE]
    assert np.all(cruise[:, WINDOW] <= 0.85 * cruise[:, LONGTERM] + 1e-9)
    assert np.all(cruise[:, BW] == pytest.approx(RATE_BPS, rel=1e-9))


def test_inflight_longterm_grows_faster_and_faster_where_there_is_room(shallow: Any) -> None:
    pipe = Pipe(Bbr3, buffer=20.0)
    before = watched(pipe, 3)[-1, LONGTERM]
    # The path becomes four times as long; the bound of 50 is now far below the BDP of 120.
    pipe.delay = lambda _: DELAY_NS + 90_000_000
    pipe.buffer = 1000.0
    seen = watched(pipe, 40)
    assert before < 56.0
    assert seen[-1, LONGTERM] > 120.0
    ups = of_mode(seen, s.UP)
    grown = []
    for _, begin, end in ups:
        up = seen[(seen[:, TIME] >= begin) & (seen[:, TIME] < end)]
        marks = [up[up[:, ROUNDS] == r][-1, LONGTERM] for r in np.unique(up[:, ROUNDS])]
        grown.append(np.diff(marks))
    fastest = max(grown, key=len)
    # 1, 2, 4, 8, ... packets a round (the first one falls into the round in which UP begins).
    assert list(fastest[:6]) == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0]


def in_probe(tx_inflight: float, lost: float) -> np.ndarray:
    """Return the state after a loss in UP of a pipe of BDP 30."""
    pipe = Pipe(Bbr3)
    pipe.watch = lambda p: None
    while pipe.state[s.MODE] != s.UP:
        pipe.run(pipe.now + RTT_NS)
    event = {"packet": 9, "lost": 1, "tx_inflight": tx_inflight, "lost_total": 100.0 + lost}
    event |= {"tx_lost_total": 100.0, "inflight": 60, "delivered": pipe.delivered}
    Bbr3.on_loss(pipe.state, row(LOSS, **event, now_ns=pipe.now), NOTHING)
    return pipe.state


@pytest.mark.parametrize("lost", [1.0, 2.0, 4.0])
def test_a_probe_that_loses_up_to_two_percent_goes_on(lost: float) -> None:
    state = in_probe(200.0, lost)
    assert state[s.MODE] == s.UP
    assert state[s.INFLIGHT_LONGTERM] == float("inf")


def test_a_probe_that_loses_more_than_two_percent_bounds_what_is_in_flight() -> None:
    # 5 of 200. Without this packet 4 of 199; the prefix (0.02 x 199 - 4) / 0.98 < 0 is 0.
    state = in_probe(200.0, 5.0)
    assert state[s.MODE] == s.DOWN
    assert state[s.INFLIGHT_LONGTERM] == 199.0
    assert state[s.BW_PROBE_SAMPLES] == 0.0
    # 1 of 20: without this packet 0 of 19; (0.38 - 0) / 0.98 = 0.3878 more would have been fine.
    # That is below 0.7 of the target of 30.
    assert probe_bw.inflight_at_loss(1.0, 20.0) == pytest.approx(19.0 + 0.38 / 0.98)
    assert in_probe(20.0, 1.0)[s.INFLIGHT_LONGTERM] == pytest.approx(0.7 * BDP)


@pytest.mark.parametrize(("every", "bounded"), [(100, False), (25, True)])
def test_one_percent_of_loss_is_tolerated_and_four_are_not(every: int, bounded: bool) -> None:
    # 10 packets/ms: a BDP of 291 packets, so that a loss is no 2 % by itself.
    pipe = Pipe(Bbr3, service=lambda _: SERVICE_NS // 10, loses=lambda n: n % every == every - 1)
    seen = watched(pipe, 4)
    assert len(of_mode(seen, s.UP)) >= 1
    assert bool(np.isfinite(seen[-1, LONGTERM])) is bounded


def test_a_loss_while_cruising_lowers_the_short_term_bounds_until_refill() -> None:
    pipe = Pipe(Bbr3)
    trace = Trace(pipe, s.MODE, s.BW_SHORTTERM, s.INFLIGHT_SHORTTERM, CWND)
    pipe.run(SECOND // 2)
    assert pipe.state[s.MODE] == s.CRUISE
    window = pipe.state[CWND]
    hole = range(pipe.number, pipe.number + 12)
    pipe.loses = lambda number: number in hole
    pipe.run(2 * SECOND)
    seen = trace.array()
    bound = seen[seen[:, 3] < float("inf")]
    # max(bw_latest, 0.7 x max_bw); over the round with the hole 18 of 30 slots were used at
    # worst, but the round's best sample counts.
    assert np.all(bound[:, 3] >= 0.7 * RATE_BPS)
    assert bound[0, 4] == pytest.approx(max(0.7 * window, bound[0, 4]))
    assert np.all(bound[:, 5] <= bound[:, 4] + 1e-9)
    refill = of_mode(seen, s.REFILL)[0][1]
    assert bound[-1, 0] < refill
    assert np.all(seen[seen[:, 0] >= refill, 3] == float("inf"))


def test_a_time_out_leaves_one_packet_and_the_next_ack_restores_the_window(steady: Any) -> None:
    pipe, _ = steady
    state = pipe.state.copy()
    state[s.MODE] = s.CRUISE
    before = state[CWND]
    event = {"timeout": 1, "new_episode": 1, "lost": 30, "delivered": pipe.delivered}
    event |= {"packet": pipe.number - 30, "next_packet": pipe.number, "now_ns": pipe.now}
    Bbr3.on_loss(state, row(LOSS, **event, tx_inflight=30, lost_total=30), NOTHING)
    assert state[CWND] == 1.0
    assert state[s.INFLIGHT_SHORTTERM] == before
    ack = {"now_ns": pipe.now + RTT_NS, "packet": pipe.number, "acked": 1, "rtt_ns": RTT_NS}
    ack |= {"srtt_ns": RTT_NS, "min_rtt_ns": RTT_NS, "prior_inflight": 1, "tx_inflight": 1}
    ack |= {"delivered": pipe.delivered + 1, "prior_delivered": pipe.delivered}
    ack |= {"sample_ns": RTT_NS, "lost_total": 30, "tx_lost_total": 30}
    Bbr3.on_ack(state, row(ACK, **ack), NOTHING)
    # The round that lost everything is not over: the bound of before still holds.
    assert state[CWND] == pytest.approx(before, abs=1.0) or state[CWND] >= 0.7 * before


def test_bandwidth_of_the_cycle_before_the_last_is_forgotten() -> None:
    pipe = Pipe(Bbr3, service=lambda t: SERVICE_NS if t < 3 * SECOND else 2 * SERVICE_NS)
    trace = Trace(pipe, s.MODE, s.BW, s.SAMPLE_BPS)
    pipe.run(16 * SECOND)
    seen = trace.array()
    fast = seen[seen[:, 4] > 0.9 * RATE_BPS][-1, 0]
    slow = seen[(seen[:, 0] > 3.5) & (seen[:, 3] < 0.9 * RATE_BPS)][0, 0]
    downs = [b for _, b, _ in of_mode(seen, s.DOWN) if fast < b < slow]
    assert len(downs) == 2
    assert pipe.state[s.BW] == pytest.approx(0.5 * RATE_BPS, rel=0.02)


@pytest.mark.parametrize("seed", range(20))
def test_odd_events_leave_window_and_rate_usable(seed: int) -> None:
    survive_odd_events(Bbr3, seed)
