"""A sender with a congestion controller: sending, acknowledgements, losses, time-outs."""

from __future__ import annotations

from collections import deque
from typing import Any

from policies.congestion import base
from sim.net import policy_checks, result
from sim.net.problems import PolicyError
from sim.net.reference.account import Account, Trace
from sim.net.reference.clock import SEND, TIMEOUT, Clock
from sim.net.reference.controller import Controller
from sim.net.reference.intervals import Interval, Monitor
from sim.net.reference.link import Link
from sim.net.reference.packet import ACKNOWLEDGED, GIVEN_UP, IN_FLIGHT, LOST, Packet
from sim.net.reference.round_trip import RoundTrip
from sim.net.scenario import Flow

REORDERING = 3
"""A packet is lost once one so much newer has been acknowledged."""
LONGEST_GAP_NS = 1e15


class Sender:
    """The near end of a controlled flow."""

    def __init__(
        self,
        clock: Clock,
        index: int,
        flow: Flow,
        first_link: Link,
        controller: Controller,
        account: Account,
        trace: Trace,
    ) -> None:
        self._clock = clock
        self._index = index
        self._flow = flow
        self._stop_ns = flow.stop_ns
        self._link = first_link
        self._controller = controller
        self._account = account
        self._trace = trace
        self._round_trip = RoundTrip(flow.min_rto_ns)
        self._monitor = self._monitor_of(flow) if controller.has_intervals else None

        self._next_packet = 0
        self._next_pace_ns = flow.start_ns
        self._will_send = False
        # Those whose fate may be open, oldest first; `_inflight` counts those where it is.
        self._outstanding: deque[Packet] = deque()
        self._inflight = 0
        self._delivered = 0
        self._delivered_stamp_ns = flow.start_ns
        self._first_sent_ns = flow.start_ns
        self._lost_total = 0
        self._in_recovery = False
        self._recovery_point = 0
        self._timer_ns: int | None = None
        self._alarm_ns: int | None = None

        clock.at(flow.start_ns, SEND, index, self._start)

    # Sending

    def _start(self, event: Any) -> None:
        self._controller.begin(self._clock.now)
        if self._monitor is not None:
            self._monitor.begin()
        self._send(event)

    def _may_send(self) -> bool:
        """Return whether the window has room; there always is for one packet."""
        return self._inflight + 1 <= self._controller.cwnd or self._inflight == 0

    def _plan_to_send(self) -> None:
        """Something may have changed: send as soon as window and pacing allow it."""
        if self._will_send or not self._may_send():
            return
        when = max(self._clock.now, self._next_pace_ns)
        if when < self._stop_ns:
            self._will_send = True
            self._clock.at(when, SEND, self._index, self._send)

    def _send(self, _: Any) -> None:
        """Send one packet, if the window still has room; others follow as events of their own."""
        self._will_send = False
        if self._may_send():
            self._send_packet(self._clock.now)
            self._plan_to_send()

    def _send_packet(self, now: int) -> None:
        packet = Packet(self._index, self._next_packet, self._flow.packet_bytes, now)
        self._next_packet += 1
        self._write_stamps(packet, now)
        self._outstanding.append(packet)
        if self._monitor is not None:
            self._monitor.sent(packet)
        if self._timer_ns is None:
            self._set_timer(now + self._round_trip.timeout_ns())
        gap = packet.bytes * 8 * 1e9 / self._controller.pacing_bps + 0.5
        self._next_pace_ns = now + int(min(gap, LONGEST_GAP_NS))
        self._account.sent(packet, self._inflight)
        self._link.arrive(packet)

    def _write_stamps(self, packet: Packet, now: int) -> None:
        """Count a packet as in flight, and note on it how things stand."""
        if self._inflight == 0:
            self._first_sent_ns = self._delivered_stamp_ns = now
        self._inflight += 1
        if self._inflight > policy_checks.MAX_INFLIGHT:
            cwnd = self._controller.cwnd
            raise PolicyError(policy_checks.describe_flood(self._flow.label, cwnd, now))
        packet.first_sent_ns = self._first_sent_ns
        packet.delivered_stamp_ns = self._delivered_stamp_ns
        packet.prior_delivered = self._delivered
        packet.tx_inflight = self._inflight
        packet.tx_lost_total = self._lost_total

    # Acknowledgements

    def acked(self, event: Any) -> None:
        """An ACK arrives; the event's value are the packets that it covers, oldest first."""
        covered: list[Packet] = event.value
        now, newest = self._clock.now, covered[-1]
        prior_inflight = self._inflight
        for packet in covered:
            self._settle(packet, now)
        rtt = now - newest.sent_ns
        self._round_trip.add(rtt)
        sample_ns = max(newest.sent_ns - newest.first_sent_ns, now - newest.delivered_stamp_ns)
        self._delivered_stamp_ns = now
        self._first_sent_ns = newest.sent_ns
        if newest.number >= self._recovery_point:
            self._in_recovery = False
        lost = self._declare_lost(newest.number - REORDERING, prior_inflight, now)
        self._controller.acked(
            now,
            newest.number,
            len(covered),
            lost,
            rtt,
            self._round_trip.smoothed,
            self._round_trip.least,
            self._inflight,
            prior_inflight,
            self._delivered,
            newest.prior_delivered,
            sample_ns,
            newest.tx_inflight,
            self._lost_total,
            newest.tx_lost_total,
            self._in_recovery,
            self._next_packet,
        )
        self._account.count(now, result.ACKS)
        self._account.count(now, result.RTT_SUM_NS, rtt)
        if self._trace.wanted:
            self._note(result.T_ACK, newest.number, rtt)
        self._round_trip.resume()
        self._set_timer(now + self._round_trip.timeout_ns() if self._inflight else None)
        if self._monitor is not None:
            self._monitor.report()
        self._plan_to_send()

    def _settle(self, packet: Packet, now: int) -> None:
        """Count a packet as acknowledged."""
        self._delivered += 1
        if packet.state == GIVEN_UP:
            self._account.count(now, result.SPURIOUS)
            return
        packet.state = ACKNOWLEDGED
        self._inflight -= 1
        if self._monitor is not None:
            self._monitor.acked(packet, now)

    # Losses

    def _declare_lost(self, up_to: int, prior_inflight: int, now: int) -> int:
        """Declare lost what is open among the packets up to a number; return how many."""
        outstanding, count = self._outstanding, 0
        while outstanding and outstanding[0].number <= up_to:
            packet = outstanding.popleft()
            if packet.state == IN_FLIGHT:
                self._lose(packet, prior_inflight, now)
                count += 1
        return count

    def _lose(self, packet: Packet, prior_inflight: int, now: int) -> None:
        packet.state = LOST
        self._inflight -= 1
        self._lost_total += 1
        self._account.count(now, result.DECLARED_LOST)
        if self._monitor is not None:
            self._monitor.lost(packet)
        new_episode = packet.number >= self._recovery_point
        if new_episode:
            self._in_recovery = True
            self._recovery_point = self._next_packet
        self._tell_loss(packet, 1, False, new_episode, prior_inflight)
        self._note(result.T_LOST, packet.number, self._inflight)

    def _tell_loss(
        self, packet: Packet, count: int, timeout: bool, new_episode: bool, prior_inflight: int
    ) -> None:
        self._controller.lost(
            self._clock.now,
            packet.number,
            count,
            timeout,
            new_episode,
            self._inflight,
            prior_inflight,
            packet.tx_inflight,
            self._lost_total,
            packet.tx_lost_total,
            self._delivered,
            self._next_packet,
        )

    # The retransmission timer

    def _set_timer(self, when_ns: int | None) -> None:
        """Set it, or turn it off; an alarm that is already set for earlier is left to ring."""
        self._timer_ns = when_ns
        if when_ns is not None and (self._alarm_ns is None or when_ns < self._alarm_ns):
            self._alarm_ns = when_ns
            self._clock.at(when_ns, TIMEOUT, self._index, self._alarm)

    def _alarm(self, _: Any) -> None:
        now = self._clock.now
        if now != self._alarm_ns:
            return
        self._alarm_ns = None
        if self._timer_ns is None or now >= self._stop_ns:
            return
        if self._timer_ns > now:
            self._set_timer(self._timer_ns)
        else:
            self._time_out(now)

    def _time_out(self, now: int) -> None:
        """Give up every packet in flight."""
        given_up = [packet for packet in self._outstanding if packet.state == IN_FLIGHT]
        self._outstanding.clear()
        for packet in given_up:
            packet.state = GIVEN_UP
            if self._monitor is not None:
                self._monitor.lost(packet)
        count = len(given_up)
        self._inflight = 0
        self._lost_total += count
        self._account.count(now, result.DECLARED_LOST, count)
        self._account.count(now, result.TIMEOUTS)
        self._in_recovery = False
        self._recovery_point = self._next_packet
        self._round_trip.back_off()
        self._timer_ns = None
        self._tell_loss(given_up[0], count, True, True, count)
        self._note(result.T_TIMEOUT, given_up[0].number, count)
        if self._monitor is not None:
            self._monitor.report()
        self._plan_to_send()

    # Monitor intervals and trace

    def _monitor_of(self, flow: Flow) -> Monitor:
        monitor = Monitor(
            self._clock,
            self._index,
            self._controller,
            self._round_trip,
            flow.counts == base.SENT,
            flow.stop_ns,
        )
        monitor.reported = self._note_interval
        monitor.changed = self._plan_to_send
        return monitor

    def _note_interval(self, interval: Interval) -> None:
        self._note(result.T_INTERVAL, interval.id, len(interval.samples))

    def _note(self, kind: int, number: int, value: int) -> None:
        controller = self._controller
        self._trace.note(
            self._clock.now,
            kind,
            self._index,
            number,
            value,
            controller.cwnd,
            controller.pacing_bps,
        )
