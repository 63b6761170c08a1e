"""CUBIC against RFC 9438 and HyStart++ against RFC 9406, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from policies.congestion.cubic import Cubic, k_seconds
from tests.congestion.rows import MS, SECOND, Driven


def lost_at(cwnd: float, **parameters: float) -> Driven:
    """A flow that lost a packet at a full window of `cwnd`."""
    flow = Driven(Cubic, **parameters)
    flow["cwnd"] = cwnd
    flow.loss(prior_inflight=cwnd)
    return flow


def windows(flow: Driven, rtt_ns: float, rounds: int, start_ns: float = 0.0) -> np.ndarray:
    """Return the window at the end of each round trip, every packet acknowledged, evenly."""
    found = []
    for i in range(rounds):
        acks = max(int(flow["cwnd"]), 1)
        for k in range(acks):
            now = start_ns + (i + k / acks) * rtt_ns
            flow.ack(now_ns=now, srtt_ns=rtt_ns, rtt_ns=rtt_ns, min_rtt_ns=rtt_ns)
        found.append(flow["cwnd"])
    return np.array(found)


def test_k_is_the_time_back_to_w_max() -> None:
    # (100 - 70) / 0.4 = 75, whose cube root is 4.2172 (4.217^3 = 74.99)
    assert k_seconds(100.0, 70.0, 0.4) == pytest.approx(4.217, abs=5e-4)
    assert k_seconds(100.0, 100.0, 0.4) == 0.0
    flow = lost_at(100.0)
    flow.ack()
    assert flow["k_s"] == k_seconds(100.0, 70.0, 0.4)


def test_what_follows_from_beta() -> None:
    # alpha = 3 (1 - 0.7) / (1 + 0.7) = 0.9 / 1.7; (1 + 0.7) / 2
    assert Cubic.constants({})[-2:] == pytest.approx([0.52941, 0.85], abs=1e-5)


@pytest.mark.parametrize("wrong", [{"c": 0.0}, {"beta": 1.0}, {"beta": 0.0}])
def test_parameters_without_a_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="cubic needs"):
        Cubic.constants(wrong)


def test_a_loss_leaves_seven_tenths_of_what_is_in_flight() -> None:
    flow = Driven(Cubic)
    flow["cwnd"] = 100.0
    assert flow.loss(prior_inflight=90.0) == pytest.approx(63.0)
    assert (flow["w_max"], flow["cwnd_prior"]) == (100.0, 100.0)
    assert flow.loss(prior_inflight=90.0, new_episode=0.0) == pytest.approx(63.0)
    assert flow.ack(in_recovery=1.0) == pytest.approx(63.0)
    assert flow.loss(prior_inflight=1.0) == 2.0


def test_first_steps_of_an_epoch() -> None:
    flow = lost_at(1000.0)
    # At t = 0 the cubic is at 700, where W_est is one ACK ahead: Reno's step, 0.529 / 700.
    first = 700.0 + 0.9 / 1.7 / 700.0
    assert flow.ack(now_ns=5 * SECOND) == pytest.approx(first, rel=1e-14)
    assert flow["epoch_ns"] == 5 * SECOND
    # K = (300 / 0.4)^(1/3) = 9.0856 s. At t = 0.01 s with an RTT of 0.1 s:
    # W(0.11) = 0.4 (0.11 - 9.0856)^3 + 1000 = 710.765, so the step is 10.76 / 700
    target = 0.4 * (0.11 - 750.0 ** (1 / 3)) ** 3 + 1000.0
    assert target == pytest.approx(710.765, abs=0.001)
    expected = first + (target - first) / first
    assert flow.ack(now_ns=5.01 * SECOND) == pytest.approx(expected, rel=1e-12)


def test_growth_is_concave_up_to_w_max_and_convex_beyond() -> None:
    flow = lost_at(1000.0)
    window = windows(flow, 0.1 * SECOND, 180)  # K = 9.0856 s is round trip 91
    growth = np.diff(window)
    assert (np.diff(growth[:88]) < 0.0).all()
    assert (np.diff(growth[95:]) > 0.0).all()
    # The window at the end of round trip i is W((i + 1) 0.1 s), less the lag of one RTT's ACKs.
    t = 0.1 * np.arange(1, 181)
    assert window == pytest.approx(0.4 * (t - 9.0856) ** 3 + 1000.0, rel=2e-3)
    assert window[90] == pytest.approx(1000.0, abs=0.5)


def test_mean_of_a_concave_epoch() -> None:
    # Mean of W over 0..K is W_max - C K^3 / 4 = W_max - 0.3 W_max / 4 = 0.925 W_max
    window = windows(lost_at(1000.0), 0.1 * SECOND, 91)
    assert window.mean() == pytest.approx(925.0, rel=3e-3)


def test_the_target_is_at_most_half_a_window_more() -> None:
    flow = lost_at(100.0)
    before = flow.ack(now_ns=1.0)
    after = flow.ack(now_ns=1000 * SECOND)  # W is 0.4 * 1000^3 by now
    assert after == pytest.approx(before + 0.5)  # (1.5 cwnd - cwnd) / cwnd
    assert flow.ack(now_ns=1001 * SECOND, acked=1e6) == pytest.approx(1.5 * after)


def test_the_window_does_not_shrink_where_the_round_trip_time_does() -> None:
    flow = lost_at(1000.0)
    flow.ack(now_ns=1.0)
    flow["cwnd"] = 900.0  # far above W(t) and W_est
    assert flow.ack(now_ns=0.1 * SECOND) == 900.0


def test_delayed_acks_do_not_slow_it() -> None:
    one, two = lost_at(1000.0), lost_at(1000.0)
    one.ack(now_ns=1.0)
    one.ack(now_ns=1.0)
    assert two.ack(now_ns=1.0, acked=2.0) == pytest.approx(one["cwnd"], rel=1e-4)


def test_reno_friendly_region_adds_alpha_then_one_packet_per_round_trip() -> None:
    flow = lost_at(20.0)  # 14 packets; K = (6 / 0.4)^(1/3) = 2.47 s is 247 round trips of 10 ms
    window = windows(flow, 0.01 * SECOND, 20)
    assert flow["cwnd"] == flow["w_est"]
    # Up to cwnd_prior = 20 it is 0.529 per round trip, so 11.3 of them; then 1 each. A round trip
    # has int(cwnd) ACKs, which is a little less than a window of them.
    growth = np.diff(window)
    assert growth[:9] == pytest.approx(0.529, abs=0.03)
    assert growth[13:] == pytest.approx(1.0, abs=0.05)


def test_reno_friendly_region_of_rfc_8312_adds_alpha_throughout() -> None:
    flow = lost_at(20.0, keeps_alpha=1.0)
    growth = np.diff(windows(flow, 0.01 * SECOND, 30))
    assert flow["cwnd"] == flow["w_est"] > 25.0
    assert growth == pytest.approx(0.529, abs=0.03)


def test_fast_convergence_lowers_w_max() -> None:
    flow = lost_at(100.0)
    flow["cwnd"] = 90.0
    flow.loss(prior_inflight=90.0)
    assert flow["w_max"] == pytest.approx(76.5)  # 90 * (1 + 0.7) / 2
    assert flow["cwnd_prior"] == 90.0
    flow["cwnd"] = 80.0  # above W_max: the whole window is remembered
    flow.loss(prior_inflight=80.0)
    assert flow["w_max"] == 80.0


def test_without_fast_convergence_w_max_is_the_window() -> None:
    flow = lost_at(100.0, fast_convergence=0.0)
    flow["cwnd"] = 90.0
    flow.loss(prior_inflight=90.0)
    assert flow["w_max"] == 90.0


def test_w_max_below_the_window_of_an_epoch_is_that_window() -> None:
    flow = lost_at(100.0)
    flow["cwnd"] = 90.0
    flow.loss(prior_inflight=120.0)  # W_max 76.5, window 84
    flow.ack()
    assert (flow["w_max"], flow["k_s"]) == (pytest.approx(84.0), 0.0)


def test_after_a_timeout_the_cubic_begins_at_the_end_of_slow_start() -> None:
    flow = Driven(Cubic)
    flow["cwnd"] = 10.0
    assert flow.timeout(prior_inflight=10.0) == 1.0
    assert flow["ssthresh"] == pytest.approx(7.0)
    assert [flow.ack(delivered=1.0) for _ in range(6)] == pytest.approx([2, 3, 4, 5, 6, 7])
    flow.ack(now_ns=3 * SECOND)
    assert (flow["w_max"], flow["k_s"], flow["epoch_ns"]) == (pytest.approx(7.0), 0.0, 3 * SECOND)


def test_timeouts_in_a_row_leave_ssthresh() -> None:
    flow = Driven(Cubic)
    flow.timeout(prior_inflight=100.0, delivered=5.0)
    flow.timeout(prior_inflight=1.0, delivered=5.0)
    assert flow["ssthresh"] == pytest.approx(70.0)


class Rounds:
    """Round trips of HyStart++, ten packets each."""

    def __init__(self) -> None:
        self.flow, self.packet = Driven(Cubic, hystart=1.0), 0.0

    def __call__(self, rtt_ms: float, acks: int = 10, acked: float = 1.0) -> float:
        """Acknowledge packets of one round trip; return what the last ACK added."""
        before = self.flow["cwnd"]
        for _ in range(acks):
            before = self.flow["cwnd"]
            self.flow.ack(
                packet=self.packet,
                next_packet=10.0 * (self.packet // 10 + 1),
                rtt_ns=rtt_ms * MS,
                acked=acked,
            )
            self.packet += 1
        self.packet = 10.0 * math.ceil(self.packet / 10)
        return self.flow["cwnd"] - before


@pytest.fixture
def rounds() -> Rounds:
    return Rounds()


@pytest.mark.parametrize(
    ("last", "calm", "risen"),
    [
        (100.0, 112.4, 112.5),  # threshold: an eighth of 100 ms
        (10.0, 13.9, 14.0),  # at least 4 ms
        (400.0, 415.9, 416.0),  # at most 16 ms
    ],
)
def test_css_begins_where_the_delay_rises_by_the_threshold(
    rounds: Rounds, last: float, calm: float, risen: float
) -> None:
    assert rounds(last) == 1.0
    assert rounds(calm) == 1.0
    rounds(last)
    assert rounds(risen, acks=7) == 1.0
    rounds.packet -= 3  # the same round trip goes on
    assert rounds(risen, acks=1) == 0.25  # the eighth sample tells
    assert rounds.flow["css_baseline_ns"] == pytest.approx(risen * MS)


def test_css_lasts_five_rounds_the_first_part_of_one_included(rounds: Rounds) -> None:
    rounds(100.0)
    rounds(120.0)  # CSS begins at its eighth ACK: round 1 of 5
    for _ in range(4):
        assert rounds(120.0) == 0.25
        assert rounds.flow["ssthresh"] == math.inf
    # 10 in round 1, 7 + 3/4 in round 2, 4 * 10/4 in the others: 10 + 10 + 7.75 + 10
    window = rounds.flow["cwnd"]
    assert window == 37.75
    rounds(120.0, acks=1)
    assert rounds.flow["ssthresh"] == rounds.flow["cwnd_prior"] == rounds.flow["cwnd"] == window
    # 4.10: K = 0 and W_max is the window with which congestion avoidance begins
    rounds(120.0, acks=1)
    assert (rounds.flow["k_s"], rounds.flow["w_max"]) == (0.0, window)


def test_css_turns_back_where_the_delay_falls_below_its_baseline(rounds: Rounds) -> None:
    rounds(100.0)
    rounds(120.0)
    assert rounds(120.0) == 0.25  # not below
    assert rounds(119.0) == 1.0
    assert rounds.flow["css_baseline_ns"] == math.inf


def test_growth_counts_eight_packets_per_ack_at_most(rounds: Rounds) -> None:
    assert rounds(100.0, acked=20.0) == 8.0
    rounds(120.0)
    assert rounds(120.0, acked=20.0) == 2.0


def test_hystart_is_for_the_first_slow_start_only(rounds: Rounds) -> None:
    rounds.flow.timeout(prior_inflight=1000.0)
    rounds(100.0)
    assert rounds(200.0) == 1.0
    assert rounds.flow["css_baseline_ns"] == math.inf
