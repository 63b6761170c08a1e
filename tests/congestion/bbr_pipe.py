"""A sender on one FIFO link, just enough to drive a controller's hooks by hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from policies.congestion.base import ACK, CWND, FLOW, LOSS, PACING_BPS, SEED

PACKET_BYTES = 1514
PACKET_BITS = 8.0 * PACKET_BYTES
# One packet a millisecond: 12.112 Mbit/s. With 29 ms of delay the RTT is 30 ms and the BDP 30.
SERVICE_NS = 1_000_000
RATE_BPS = PACKET_BITS * 1e9 / SERVICE_NS
DELAY_NS = 29_000_000
RTT_NS = SERVICE_NS + DELAY_NS
BDP = 30.0
SECOND = 1_000_000_000


def new_state(controller: Any, seed: int = 1) -> np.ndarray:
    state = np.zeros(len(controller.state))
    state[SEED] = seed
    flow = dict.fromkeys(FLOW, float("nan"))
    flow |= {"packet_bytes": PACKET_BYTES, "payload_bytes": 1448, "initial_window": 10}
    flow["start_ns"] = 0
    controller.init(state, np.array([flow[k] for k in FLOW], np.float64), np.zeros(0))
    return state


def row(names: tuple[str, ...], **values: float) -> np.ndarray:
    return np.array([values.get(name, 0.0) for name in names], np.float64)


@dataclass
class Packet:
    number: int
    sent: int
    first_sent: int
    delivered: int
    delivered_ns: int
    tx_inflight: int
    lost_total: int


class Pipe:
    """`service(t)` and `delay(t)` in ns, `loses(number)`; `buffer` packets may wait."""

    def __init__(
        self,
        controller: Any,
        service: Callable[[int], int] = lambda _: SERVICE_NS,
        delay: Callable[[int], int] = lambda _: DELAY_NS,
        loses: Callable[[int], bool] = lambda _: False,
        buffer: float = float("inf"),
        seed: int = 1,
    ) -> None:
        self.controller, self.service, self.delay, self.loses = controller, service, delay, loses
        self.buffer = buffer
        self.state = new_state(controller, seed)
        self.now = self.next_pace = self.free = self.first_sent = self.delivered_ns = 0
        self.number = self.inflight = self.delivered = self.lost = self.recovery_point = 0
        self.srtt, self.min_rtt = 0.0, float("inf")
        self.flying: deque[Packet] = deque()
        self.arrivals: deque[tuple[int, Packet]] = deque()
        self.watch: Callable[[Pipe], None] = lambda _: None

    def run(self, until: int) -> None:
        while True:
            ack = self.arrivals[0][0] if self.arrivals else float("inf")
            may = self.inflight + 1 <= max(self.state[CWND], 1.0)
            send = max(self.now, self.next_pace) if may else float("inf")
            if min(ack, send) > until:
                return
            if ack <= send:
                self._ack(*self.arrivals.popleft())
            else:
                self._send(int(send))

    def _send(self, now: int) -> None:
        self.now = now
        if self.inflight == 0:
            self.first_sent = self.delivered_ns = now
        self.inflight += 1
        packet = Packet(
            self.number,
            now,
            self.first_sent,
            self.delivered,
            self.delivered_ns,
            self.inflight,
            self.lost,
        )
        self.number += 1
        self.flying.append(packet)
        self.next_pace = now + round(PACKET_BITS * 1e9 / self.state[PACING_BPS])
        service = self.service(now)
        if self.loses(packet.number) or self.free - now > self.buffer * service:
            return
        self.free = max(self.free, now) + service
        self.arrivals.append((self.free + self.delay(now), packet))

    def _ack(self, now: int, packet: Packet) -> None:
        self.now, before = now, self.inflight
        rtt = now - packet.sent
        self.min_rtt = min(self.min_rtt, rtt)
        self.srtt = 0.875 * self.srtt + 0.125 * rtt if self.srtt else float(rtt)
        self.flying.remove(packet)
        self.inflight -= 1
        self.delivered += 1
        self.delivered_ns, sample = now, now - packet.delivered_ns
        sample = max(packet.sent - packet.first_sent, sample)
        self.first_sent = packet.sent
        lost = 0
        while self.flying and self.flying[0].number <= packet.number - 3:
            self._lose(self.flying.popleft(), before, packet.number)
            lost += 1
        ack = row(
            ACK,
            now_ns=now,
            packet=packet.number,
            acked=1,
            lost=lost,
            rtt_ns=rtt,
            srtt_ns=self.srtt,
            min_rtt_ns=self.min_rtt,
            inflight=self.inflight,
            prior_inflight=before,
            delivered=self.delivered,
            prior_delivered=packet.delivered,
            sample_ns=sample,
            tx_inflight=packet.tx_inflight,
            lost_total=self.lost,
            tx_lost_total=packet.lost_total,
            in_recovery=float(packet.number < self.recovery_point),
            next_packet=self.number,
        )
        self.controller.on_ack(self.state, ack, np.zeros(0))
        self._check()
        self.watch(self)

    def _lose(self, packet: Packet, before: int, acked: int) -> None:
        self.inflight -= 1
        self.lost += 1
        episode = acked >= self.recovery_point
        if episode:
            self.recovery_point = self.number
        loss = row(
            LOSS,
            now_ns=self.now,
            packet=packet.number,
            lost=1,
            new_episode=float(episode),
            inflight=self.inflight,
            prior_inflight=before,
            tx_inflight=packet.tx_inflight,
            lost_total=self.lost,
            tx_lost_total=packet.lost_total,
            delivered=self.delivered,
            next_packet=self.number,
        )
        self.controller.on_loss(self.state, loss, np.zeros(0))
        self._check()

    def _check(self) -> None:
        for value in self.state[[CWND, PACING_BPS]]:
            assert 0.0 < value < float("inf")


def survive_odd_events(controller: Any, seed: int) -> None:
    """Invoke the hooks with events that no network makes; window and rate must stay usable."""
    rng = np.random.default_rng(seed)
    state = new_state(controller, seed)
    now = 0.0
    for _ in range(400):
        now += float(rng.choice([0.0, 1.0, 1e3, 1e7, 1e10]))
        event = {name: float(rng.choice([0.0, 1.0, 2.0, 1e3, 1e9])) for name in {*ACK, *LOSS}}
        for name in ("rtt_ns", "srtt_ns", "min_rtt_ns"):
            event[name] = max(event[name], 1.0)
        for flag in ("timeout", "new_episode", "in_recovery"):
            event[flag] = float(rng.random() < 0.2)
        event |= {"now_ns": now, "acked": max(event["acked"], 1.0)}
        if rng.random() < 0.3:
            controller.on_loss(state, row(LOSS, **event), np.zeros(0))
        else:
            controller.on_ack(state, row(ACK, **event), np.zeros(0))
        assert 0.0 < state[CWND] < float("inf")
        assert 0.0 < state[PACING_BPS] < float("inf")


class Trace:
    """What a pipe showed after each ACK: rows of (seconds, values of the columns)."""

    def __init__(self, pipe: Pipe, *columns: int) -> None:
        self.rows: list[tuple[float, ...]] = []
        pipe.watch = lambda p: self.rows.append(
            (p.now / 1e9, float(p.inflight), *(float(p.state[c]) for c in columns))
        )

    def array(self) -> np.ndarray:
        """Return float64[acks, 2 + columns]: time in s, packets in flight, columns."""
        return np.array(self.rows)


def spells(times: np.ndarray, values: np.ndarray) -> list[tuple[float, float, float]]:
    """Return (value, begin, end) of each run of one value, by its first ACK and the next's."""
    edges = np.flatnonzero(np.diff(values)) + 1
    begins = [0, *edges]
    ends = [*edges, len(values) - 1]
    return [
        (float(values[b]), float(times[b]), float(times[e]))
        for b, e in zip(begins, ends, strict=True)
    ]
