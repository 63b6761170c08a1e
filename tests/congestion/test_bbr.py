"""BBRv1 on a pipe of 1 packet/ms and 30 ms RTT, so the BDP is 30 packets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from policies.congestion import bbr_state as s
from policies.congestion.base import ACK, CWND, LOSS, PACING_BPS
from policies.congestion.bbr import Bbr
from policies.congestion.hooks import draw
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


def slower_later(now: int) -> int:
    """Return a delay that grows by 1 us, so that the least RTT is not met by chance again."""
    return DELAY_NS + (1000 if now > SECOND else 0)


def acknowledge(state: np.ndarray, pipe: Pipe, **values: float) -> None:
    """Invoke on_ack with a full pipe's event, but for `values`."""
    event = {
        "now_ns": pipe.now + SERVICE_NS,
        "packet": pipe.number - 30,
        "acked": 1,
        "rtt_ns": RTT_NS,
        "srtt_ns": RTT_NS,
        "min_rtt_ns": RTT_NS,
        "inflight": 30,
        "prior_inflight": 31,
        "delivered": pipe.delivered + 1,
        "prior_delivered": pipe.delivered - 29,
        "sample_ns": RTT_NS,
        "next_packet": pipe.number,
    }
    Bbr.on_ack(state, row(ACK, **{**event, **values}), NOTHING)


@pytest.fixture(scope="module")
def steady() -> Any:
    """Return a pipe and its trace over 25 s."""
    pipe = Pipe(Bbr, delay=slower_later)
    columns = (s.MODE, s.CYCLE_INDEX, s.PACING_GAIN, CWND, PACING_BPS, s.BW + 1, s.MIN_RTT_NS)
    trace = Trace(pipe, *columns)
    pipe.run(25 * SECOND)
    return pipe, trace.array()


def test_the_first_window_is_paced_over_a_millisecond_and_then_over_the_rtt() -> None:
    pipe = Pipe(Bbr)
    # 739/256 x 0.99 x 10 packets x 12112 bits / 1 ms = 346.143 Mbit/s.
    assert pipe.state[PACING_BPS] == pytest.approx(346.143e6, rel=1e-5)
    pipe.run(RTT_NS)
    # The same over 30 ms; the sample of 1 packet in 30 ms gives less and does not slow it down.
    assert pipe.state[PACING_BPS] == pytest.approx(346.143e6 / 30.0, rel=1e-5)


def test_startup_fills_the_pipe_and_drain_empties_the_queue(steady: Any) -> None:
    _, seen = steady
    modes = spells(seen[:, 0], seen[:, 2])
    assert [mode for mode, _, _ in modes[:3]] == [s.STARTUP, s.DRAIN, s.PROBE_BW]
    (_, _, filled), (_, _, drained) = modes[:2]
    assert filled < 0.5
    assert drained - filled < 0.1
    at_fill, at_drain = (np.searchsorted(seen[:, 0], t) for t in (filled, drained))
    # The window gain in Startup is 2.887: up to 1.887 BDP of queue. The budget at 1 packet/ms is
    # 3 x 2 packets: Drain ends at 36 packets in flight.
    assert 2.0 * BDP < seen[at_fill, 1] <= 739.0 / 256.0 * BDP + 8.0
    assert seen[at_drain, 1] == BDP + 6.0
    assert seen[at_drain, 7] == pytest.approx(RATE_BPS, rel=1e-9)


def test_the_cycle_goes_through_its_eight_phases(steady: Any) -> None:
    _, seen = steady
    cruise = seen[(seen[:, 2] == s.PROBE_BW) & (seen[:, 0] > 1.0) & (seen[:, 0] < 10.0)]
    phases = spells(cruise[:, 0], cruise[:, 3])
    indices = np.array([index for index, _, _ in phases])
    assert set(np.diff(indices) % 8) == {1.0}
    gains = {0.0: 1.25, 1.0: 0.75}
    for index, gain in np.unique(cruise[:, 3:5], axis=0):
        assert gain == gains.get(index, 1.0)
    rates = np.unique(np.round(cruise[:, 6] / RATE_BPS, 9))
    assert rates == pytest.approx([0.75 * 0.99, 0.99, 1.25 * 0.99])
    # A phase at gain 1 lasts one least RTT, to the ACK after it; at 3/4 it may end early.
    for index, begin, end in phases[1:-1]:
        if index > 1.0:
            assert end - begin == pytest.approx(0.030, abs=0.0025)
        if index == 1.0:
            assert end - begin < 0.0325
    # 2 x 30 + 3 x 2, made even; two more while probing.
    assert set(cruise[cruise[:, 3] > 0.0, 5]) <= {66.0, 67.0, 68.0}


def test_the_cycle_starts_at_any_phase_but_the_draining_one() -> None:
    firsts = set()
    for seed in range(200):
        state = new_state(Bbr, seed)
        s.start_cycle(state, 0.0, draw(state))
        firsts.add(state[s.CYCLE_INDEX])
    assert firsts == {0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0}


def test_probe_rtt_every_ten_seconds_for_200_ms_at_four_packets(steady: Any) -> None:
    _, seen = steady
    probes = [p for p in spells(seen[:, 0], seen[:, 2]) if p[0] == s.PROBE_RTT]
    assert len(probes) == 2
    (_, first, leave), (_, second, _) = probes
    assert second - leave == pytest.approx(10.2, abs=0.3)
    for _, begin, end in probes:
        spell = seen[(seen[:, 0] >= begin) & (seen[:, 0] < end)]
        assert set(spell[:, 5]) == {4.0}
        small = spell[spell[:, 1] <= 4.0]
        # 200 ms, and then the first ACK that is later.
        assert 0.2 < end - small[0, 0] < 0.235
        assert spell[-1, 8] == RTT_NS + 1000
        # The low samples of the probe are marked and do not count.
        assert np.all(spell[:, 7] > 0.99 * RATE_BPS)
    after = seen[(seen[:, 0] > leave) & (seen[:, 0] < leave + 0.05)]
    assert after[0, 5] > 60.0
    assert 10.0 < first < 10.5


def test_samples_of_a_long_probe_rtt_do_not_lower_the_bandwidth() -> None:
    # 5 ms RTT: 4 packets make 0.8 of the rate for 40 rounds, far more than the window of 10.
    pipe = Pipe(Bbr, delay=lambda t: 4_000_000 + (1000 if t > SECOND else 0))
    trace = Trace(pipe, s.MODE, s.BW + 1, s.ROUNDS)
    pipe.run(12 * SECOND)
    seen = trace.array()
    probe = seen[seen[:, 2] == s.PROBE_RTT]
    assert np.ptp(probe[:, 4]) > 35.0
    assert np.all(probe[:, 3] > 0.99 * RATE_BPS)
    assert pipe.state[s.BW + 1] > 0.99 * RATE_BPS


def test_bandwidth_is_forgotten_after_ten_rounds() -> None:
    pipe = Pipe(Bbr, service=lambda t: SERVICE_NS if t < 3 * SECOND else 2 * SERVICE_NS)
    trace = Trace(pipe, s.ROUNDS, s.SAMPLE_BPS, s.BW + 1)
    pipe.run(6 * SECOND)
    seen = trace.array()
    last = seen[seen[:, 3] > 0.9 * RATE_BPS][-1, 2]
    forgotten = seen[(seen[:, 0] > 3.0) & (seen[:, 4] < 0.9 * RATE_BPS)][0, 2]
    assert forgotten - last == 11.0
    assert pipe.state[s.BW + 1] == pytest.approx(0.5 * RATE_BPS, rel=0.02)


def lose(state: np.ndarray, pipe: Pipe, *packets: int) -> None:
    for packet in packets:
        event = {"packet": packet, "lost": 1, "next_packet": pipe.number, "now_ns": pipe.now}
        Bbr.on_loss(state, row(LOSS, **event), NOTHING)


def test_recovery_conserves_packets_for_a_round_and_then_restores_the_window(steady: Any) -> None:
    pipe, _ = steady
    state = pipe.state.copy()
    before, last = state[CWND], pipe.number
    # 3 of 40 packets lost at once; 36 are left, and one was acknowledged.
    lose(state, pipe, 5, 6, 7)
    assert state[CWND] == before
    acknowledge(state, pipe, lost=3, inflight=36, prior_inflight=40)
    assert state[CWND] == 36.0 + 1.0
    # The window follows what is in flight plus what the ACK took out of it, while that is more.
    acknowledge(state, pipe, inflight=38, delivered=pipe.delivered + 2)
    assert state[CWND] == 38.0 + 1.0
    # After a round it grows by what is acknowledged.
    later = {"delivered": pipe.delivered + 40, "prior_delivered": pipe.delivered + 3}
    acknowledge(state, pipe, packet=last + 1, inflight=38, **later)
    assert state[s.PACKET_CONSERVATION] == 0.0
    assert state[CWND] == 39.0 + 1.0
    # The next three packets stand in for the lost ones; the last has arrived.
    acknowledge(state, pipe, packet=last + 2, inflight=38, **later)
    assert before <= state[CWND] <= before + 1.0


def test_recovery_goes_on_until_its_own_losses_are_made_good(steady: Any) -> None:
    pipe, _ = steady
    state = pipe.state.copy()
    last = pipe.number
    lose(state, pipe, last - 40)
    acknowledge(state, pipe, lost=1)
    assert state[s.LAST_REPAIR] == last
    pipe_later = Pipe(Bbr)
    pipe_later.number = last + 30
    # Losses of packets sent after it began are not its own; its stand-in is, and an older packet.
    lose(state, pipe_later, last + 5)
    assert state[s.LAST_REPAIR] == last
    lose(state, pipe_later, last)
    assert state[s.LAST_REPAIR] == last + 30
    lose(state, pipe_later, last - 1)
    assert state[s.LAST_REPAIR] == last + 31
    acknowledge(state, pipe, packet=last + 30)
    assert state[s.CA_STATE] == s.RECOVERY
    # An ACK that ends it and reveals a loss begins the next one.
    acknowledge(state, pipe, packet=last + 31, lost=2, next_packet=last + 60)
    assert (state[s.CA_STATE], state[s.LAST_REPAIR]) == (s.RECOVERY, last + 61)
    acknowledge(state, pipe, packet=last + 61)
    assert state[s.CA_STATE] == s.OPEN


def test_a_time_out_leaves_one_packet_and_its_repair_restores_the_window(steady: Any) -> None:
    pipe, _ = steady
    state = pipe.state.copy()
    before = state[CWND]
    event = {"timeout": 1, "new_episode": 1, "lost": 30, "inflight": 0, "delivered": pipe.delivered}
    Bbr.on_loss(state, row(LOSS, **event, next_packet=pipe.number, now_ns=pipe.now), NOTHING)
    assert state[CWND] == 1.0
    # Slow start, from the least window on, until 30 packets made good what was given up.
    for i in range(29):
        acknowledge(state, pipe, packet=pipe.number + i, inflight=0)
        assert state[CWND] == max(s.MIN_CWND, 4.0 + i)
    acknowledge(state, pipe, packet=pipe.number + 29, inflight=0)
    assert state[CWND] == pytest.approx(before, abs=1.0)


def test_a_policer_is_found_and_its_rate_is_used() -> None:
    # Every third packet is lost, from 2 s on: 33 % are more than the 50/256 that it takes.
    pipe = Pipe(Bbr)
    pipe.loses = lambda number: pipe.now > 2 * SECOND and number % 3 == 0
    trace = Trace(pipe, s.LT_USE_BW, s.LT_BW, s.PACING_GAIN, PACING_BPS, s.ROUNDS)
    pipe.run(6 * SECOND)
    seen = trace.array()
    policed = seen[seen[:, 2] > 0.0]
    assert len(policed) > 100
    assert np.all(policed[:, 4] == 1.0)
    assert policed[:, 5] == pytest.approx(0.99 * policed[:, 3], rel=1e-9)
    # It is believed for 48 rounds.
    _, begin, end = next(spell for spell in spells(seen[:, 0], seen[:, 2]) if spell[0] == 1.0)
    first, last = (np.searchsorted(seen[:, 0], t) for t in (begin, end))
    assert seen[last, 6] - seen[first, 6] == pytest.approx(48.0, abs=1.0)


def test_samples_shorter_than_the_least_rtt_do_not_count(steady: Any) -> None:
    pipe, _ = steady
    state = pipe.state.copy()
    for sample_ns in (0.0, 1.0, RTT_NS - 1.0):
        acknowledge(state, pipe, sample_ns=sample_ns)
        assert state[s.BW + 1] == pipe.state[s.BW + 1]
        assert state[s.ROUND_START] == 0.0


def test_the_allowance_for_bursts_is_that_of_linux() -> None:
    state = new_state(Bbr)
    for mbps, packets in ((1.0, 1.0), (2.0, 2.0), (100.0, 8.0), (1e4, 45.0)):
        # 100 Mbit/s / 1024 = 97656 bits = 8.06 packets of 12112; at most 65215 / 1448 = 45.04.
        state[PACING_BPS] = mbps * 1e6
        assert s.burst_packets(state) == packets


@pytest.mark.parametrize("seed", range(20))
def test_odd_events_leave_window_and_rate_usable(seed: int) -> None:
    survive_odd_events(Bbr, seed)
