"""Reno against RFC 5681, RFC 3465 and RFC 6582, by hand."""

from __future__ import annotations

import math

import pytest

from policies.congestion.reno import Reno
from tests.congestion.rows import Driven


@pytest.fixture
def flow() -> Driven:
    return Driven(Reno)


def avoiding(cwnd: float) -> Driven:
    """A flow in congestion avoidance: halved from twice the window."""
    flow = Driven(Reno)
    assert flow.loss(prior_inflight=2 * cwnd) == cwnd
    return flow


def test_it_begins_with_the_initial_window_unpaced(flow: Driven) -> None:
    assert flow["cwnd"] == 10.0
    assert flow["pacing_bps"] == math.inf


def test_slow_start_doubles_the_window_per_round_trip(flow: Driven) -> None:
    for _ in range(10):  # the ten ACKs of the first window add one packet each
        flow.ack()
    assert flow["cwnd"] == 20.0


def test_slow_start_counts_two_packets_per_ack_at_most(flow: Driven) -> None:
    assert flow.ack(acked=2.0) == 12.0  # delayed ACKs: as fast
    assert flow.ack(acked=5.0) == 14.0  # L = 2


def test_congestion_avoidance_adds_one_packet_per_round_trip() -> None:
    flow = avoiding(100.0)
    assert flow.ack() == 100.01  # 100 + 1/100
    for _ in range(99):
        flow.ack()
    # d(w^2)/d(ack) = 2, so w = sqrt(100^2 + 2 * 100) = 100.995, and a little more for the steps
    assert flow["cwnd"] == pytest.approx(math.sqrt(10200.0), abs=1e-4)


def test_congestion_avoidance_counts_packets_not_acks() -> None:
    assert avoiding(100.0).ack(acked=2.0) == 100.02


def test_one_ack_adds_one_packet_at_most() -> None:
    assert avoiding(4.0).ack(acked=40.0) == 5.0


def test_a_loss_halves_what_is_in_flight_not_the_window(flow: Driven) -> None:
    flow["cwnd"] = 100.0
    assert flow.loss(prior_inflight=81.0) == 40.5
    assert flow["ssthresh"] == 40.5


def test_a_window_of_packets_lost_is_one_episode() -> None:
    flow = avoiding(40.0)
    for _ in range(5):
        assert flow.loss(prior_inflight=60.0, new_episode=0.0) == 40.0


def test_the_window_stands_still_in_recovery() -> None:
    flow = avoiding(40.0)
    assert flow.ack(in_recovery=1.0) == 40.0
    assert flow.ack() == 40.025


def test_the_window_after_a_loss_is_two_packets_at_least(flow: Driven) -> None:
    assert flow.loss(prior_inflight=1.0) == 2.0


def test_a_timeout_leaves_one_packet_and_slow_start_up_to_half_of_before(flow: Driven) -> None:
    assert flow.timeout(prior_inflight=9.0) == 1.0
    # 1, 2, 3, 4, then ssthresh = 4.5 ends slow start, then 4.5 + 1/4.5
    assert [flow.ack(delivered=1.0) for _ in range(4)] == [2.0, 3.0, 4.0, 4.5]
    assert flow.ack() == 4.5 + 1.0 / 4.5


def test_timeouts_in_a_row_leave_ssthresh(flow: Driven) -> None:
    flow.timeout(prior_inflight=40.0, delivered=7.0)
    assert flow.timeout(prior_inflight=1.0, delivered=7.0) == 1.0
    assert flow["ssthresh"] == 20.0
    flow.timeout(prior_inflight=10.0, delivered=9.0)  # something got through: a new one
    assert flow["ssthresh"] == 5.0
