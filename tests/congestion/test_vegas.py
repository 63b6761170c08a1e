"""Vegas against Brakmo and Peterson (1994) and Linux' tcp_vegas.c, by hand."""

from __future__ import annotations

import math

import pytest

from policies.congestion.vegas import Vegas
from tests.congestion.rows import MS, Driven


class Trips:
    """A flow whose round trips have ten ACKs each; the least RTT is 100 ms."""

    def __init__(self, cwnd: float, ssthresh: float = 2.0, **parameters: float) -> None:
        self.flow, self.packet = Driven(Vegas, **parameters), 0.0
        self(100.0)  # the first ACK ends the round trip of nothing
        self.flow["cwnd"], self.flow["ssthresh"] = cwnd, ssthresh

    def __call__(self, rtt_ms: float, acks: int = 10) -> float:
        """Let a round trip pass, the last ACK of which ends it; return the window."""
        for i in range(acks):
            ends = i == acks - 1
            self.flow.ack(
                packet=self.flow["round_end"] if ends else -1.0,
                next_packet=self.flow["round_end"] + 10.0,
                rtt_ns=rtt_ms * MS,
            )
        return self.flow["cwnd"]


@pytest.mark.parametrize(
    ("rtt_ms", "window"),
    [
        (100.0, 101.0),  # nothing queued
        (101.0, 101.0),  # 100 * 1 / 100 = 1 < alpha = 2
        (103.0, 100.0),  # 3 lies between
        (105.0, 99.0),  # 5 > beta = 4
    ],
)
def test_the_window_follows_what_is_queued(rtt_ms: float, window: float) -> None:
    assert Trips(100.0)(rtt_ms) == window


def test_the_least_sample_of_the_round_trip_counts() -> None:
    trips = Trips(100.0)
    trips.flow.ack(packet=-1.0, rtt_ns=100 * MS)
    assert trips(150.0) == 101.0


def test_the_window_changes_once_per_round_trip() -> None:
    trips = Trips(100.0)
    for _ in range(50):
        trips.flow.ack(packet=-1.0)
    assert trips.flow["cwnd"] == 100.0


def test_ssthresh_follows_the_window() -> None:
    trips = Trips(100.0, ssthresh=100.0)
    trips(105.0)
    assert trips.flow["ssthresh"] == 99.0
    trips = Trips(100.0)
    trips(100.0)
    assert trips.flow["ssthresh"] == 0.75 * 101.0


def test_slow_start_ends_above_gamma_at_the_actual_rate() -> None:
    trips = Trips(20.0, ssthresh=math.inf)
    # Nine ACKs grow it to 29; then diff = 29 * 10 / 100 = 2.9 > gamma = 1 and the target is
    # 29 * 100 / 110 = 26.36, plus one.
    assert trips(110.0) == pytest.approx(29.0 * 100.0 / 110.0 + 1.0)
    assert trips.flow["ssthresh"] == trips.flow["cwnd"]


def test_slow_start_goes_on_below_gamma() -> None:
    trips = Trips(20.0, ssthresh=math.inf)
    assert trips(101.0) == 30.0  # diff = 0.29


def test_two_samples_are_too_few_and_it_is_reno() -> None:
    trips = Trips(100.0)
    assert trips(150.0, acks=2) == 100.01
    assert trips(150.0, acks=3) == pytest.approx(99.01)


def test_a_loss_is_renos_and_measuring_begins_anew() -> None:
    trips = Trips(100.0)
    assert trips.flow.loss(prior_inflight=100.0, next_packet=500.0) == 50.0
    for _ in range(20):
        assert trips.flow.ack(in_recovery=1.0, packet=499.0) == 50.0
    assert trips.flow["samples"] == 0.0
    # The first ACK after recovery ends that round trip with one sample: Reno's step.
    assert trips.flow.ack(packet=500.0, next_packet=550.0) == 50.02
    assert trips.flow["round_end"] == 550.0


def test_a_timeout_leaves_one_packet() -> None:
    trips = Trips(100.0)
    assert trips.flow.timeout(prior_inflight=100.0, next_packet=500.0) == 1.0
    assert trips.flow["ssthresh"] == 50.0


def test_alpha_above_beta_is_refused() -> None:
    with pytest.raises(ValueError, match="alpha <= beta"):
        Vegas.constants({"alpha": 5.0})
