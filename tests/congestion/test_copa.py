"""Copa against Arun and Balakrishnan (NSDI 2018), by hand."""

from __future__ import annotations

import math

import pytest

from policies.congestion.copa import Copa
from tests.congestion.rows import MS, Driven


class Path:
    """A Copa flow and the time; RTTmin is 90 ms."""

    def __init__(self, cwnd: float, **parameters: float) -> None:
        self.flow, self.now = Driven(Copa, **parameters), 0.0
        self.ack(90.0)
        self.flow["cwnd"], self.flow["in_slow_start"] = cwnd, 0.0

    def ack(self, rtt_ms: float, after_ms: float = 1.0, **values: float) -> float:
        """Return the window after an ACK; one that ends a round trip has `packet` = inf."""
        self.now += after_ms * MS
        given = {"packet": -1.0, "srtt_ns": 100 * MS, **values}
        return self.flow.ack(now_ns=self.now, rtt_ns=rtt_ms * MS, **given)

    def trip(self, rtt_ms: float, **values: float) -> float:
        """Let a round trip of 100 ms pass with one ACK at its end."""
        return self.ack(rtt_ms, 100.0, packet=math.inf, **values)


def test_it_shrinks_above_the_target_rate() -> None:
    # d = 100 - 90 = 10 ms; target 1 / (0.5 * 10 ms) = 200 packets/s; 100 / 100 ms = 1000 of them.
    # The step is v / (delta cwnd) = 1 / 50. RTTstanding is of the last 50 ms, so wait for that.
    path = Path(100.0)
    assert path.ack(100.0, after_ms=60.0) == pytest.approx(99.98)


def test_it_grows_below_the_target_rate() -> None:
    # d = 10 ms as above; with 10 packets the rate is 100 packets/s. The step is 1 / (0.5 * 10).
    path = Path(10.0)
    assert path.ack(100.0, after_ms=60.0) == pytest.approx(10.2)


def test_it_grows_without_a_queue() -> None:
    assert Path(100.0).ack(90.0) == pytest.approx(100.02)


def test_steps_count_packets_not_acks() -> None:
    assert Path(100.0).ack(90.0, acked=2.0) == pytest.approx(100.04)


def test_delta_is_the_price_of_delay() -> None:
    # delta = 0.05: target 2000 packets/s, and the step 1 / (0.05 * 100)
    path = Path(100.0, delta=0.05)
    assert path.ack(100.0, after_ms=60.0) == pytest.approx(100.2)


def test_standing_rtt_is_the_least_of_half_a_smoothed_one() -> None:
    path = Path(100.0)
    assert path.ack(200.0, after_ms=40.0) > 100.0  # 90 ms was seen 40 ms ago
    assert path.ack(200.0, after_ms=20.0) < 100.02  # 60 ms ago


def test_pacing_is_two_windows_per_standing_rtt() -> None:
    path = Path(100.0)
    cwnd = path.ack(100.0, after_ms=60.0)
    # 2 * 99.98 * 12112 bits / 100 ms
    assert path.flow["pacing_bps"] == pytest.approx(2 * cwnd * 12112 / 0.1)


def test_slow_start_doubles_until_the_rate_exceeds_the_target() -> None:
    path = Path(10.0)
    path.flow["in_slow_start"] = 1.0
    for _ in range(10):
        path.ack(90.0)
    assert path.flow["cwnd"] == 20.0
    # d = 20 ms: target 100 packets/s, below 20 / 110 ms; the step down is 1 / (0.5 * 20)
    assert path.ack(110.0, after_ms=60.0) == pytest.approx(19.9)
    assert path.flow["in_slow_start"] == 0.0


def test_velocity_doubles_after_three_round_trips_in_one_direction() -> None:
    path = Path(100.0)
    path.trip(90.0)  # where slow start was left the window moved: direction up, once
    velocities = []
    for _ in range(6):
        path.trip(90.0)
        velocities.append(path.flow["velocity"])
    assert velocities == [1.0, 1.0, 2.0, 4.0, 8.0, 16.0]


def test_velocity_is_one_again_when_the_direction_changes() -> None:
    path = Path(100.0)
    for _ in range(7):
        path.trip(90.0)
    assert path.flow["velocity"] == 16.0
    before = path.flow["cwnd"]
    assert path.ack(200.0, after_ms=60.0) == pytest.approx(before - 1.0 / (0.5 * before))
    assert path.flow["velocity"] == 1.0
    assert path.flow["direction"] == -1.0


def test_velocity_at_most_doubles_the_window_per_round_trip() -> None:
    path = Path(100.0)
    for _ in range(40):
        path.trip(90.0)
    assert path.flow["velocity"] <= 0.5 * path.flow["cwnd"]
    before = path.flow["cwnd"]
    assert path.ack(90.0) - before == pytest.approx(1.0, abs=0.02)


def test_the_window_is_two_packets_at_least() -> None:
    path = Path(2.5, delta=2.0)  # d = 910 ms: the target of 0.55 packets/s is below 2 / 1000 ms
    for _ in range(20):
        path.ack(1000.0, after_ms=60.0)
    assert path.flow["cwnd"] == 2.0


def crowded(path: Path, trips: int) -> None:
    """Let round trips pass in a queue that is never nearly empty: 30 to 40 ms of 90 ms."""
    for i in range(trips):
        path.trip(120.0 + 10.0 * (i % 2))


def test_a_queue_that_never_empties_leads_to_competitive_mode() -> None:
    path = Path(100.0)
    crowded(path, 5)
    assert path.flow["competitive"] == 0.0
    crowded(path, 1)
    assert path.flow["competitive"] == 1.0
    # 1 / delta is 2 at first and grows by one per round trip, this one included
    assert 1.0 / path.flow["delta_now"] == pytest.approx(3.0)
    crowded(path, 2)
    assert 1.0 / path.flow["delta_now"] == pytest.approx(5.0)


def test_a_loss_halves_the_reciprocal_of_delta_but_not_below_the_default() -> None:
    path = Path(100.0)
    crowded(path, 8)
    path.flow.loss()
    assert 1.0 / path.flow["delta_now"] == pytest.approx(2.5)
    path.flow.loss(new_episode=0.0)
    assert 1.0 / path.flow["delta_now"] == pytest.approx(2.5)
    path.flow.loss()
    assert path.flow["delta_now"] == 0.5


def test_an_empty_queue_leads_back_to_the_default_mode() -> None:
    path = Path(100.0)
    crowded(path, 8)
    path.trip(90.0)
    assert (path.flow["competitive"], path.flow["delta_now"]) == (0.0, 0.5)


def test_modes_can_be_switched_off() -> None:
    path = Path(100.0, mode_switching=0.0)
    crowded(path, 20)
    assert (path.flow["competitive"], path.flow["delta_now"]) == (0.0, 0.5)


def test_losses_are_ignored_in_the_default_mode() -> None:
    path = Path(100.0)
    assert path.flow.loss() == 100.0
    assert path.flow["delta_now"] == 0.5


def test_a_timeout_begins_anew() -> None:
    path = Path(100.0)
    assert path.flow.timeout() == 2.0
    assert path.flow["in_slow_start"] == 1.0


def test_the_least_rtt_is_forgotten_after_ten_seconds() -> None:
    path = Path(100.0)
    for _ in range(101):  # the path is 110 ms long from now on
        path.trip(110.0)
    before = path.flow["cwnd"]
    assert path.trip(110.0) > before


def test_delta_must_be_positive() -> None:
    with pytest.raises(ValueError, match="delta > 0"):
        Copa.constants({"delta": 0.0})
