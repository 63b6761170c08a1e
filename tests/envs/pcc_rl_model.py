"""PCC-RL's simulator, transcribed plainly: one heap of events, Python lists, numpy means.

Written from its behaviour (PCC-RL `src/gym/network_sim.py`, `src/common/sender_obs.py`) as the
independent opinion on the compiled kernel. Random numbers come from a function that is handed in.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

BITS = 8 * 1500


class Link:
    def __init__(self, bandwidth: float, delay: float, packets: int, loss: float) -> None:
        self.bandwidth, self.delay, self.loss = bandwidth, delay, loss
        self.queue_delay, self.updated = 0.0, 0.0
        self.most = packets / bandwidth

    def queueing(self, now: float) -> float:
        return max(0.0, self.queue_delay - (now - self.updated))

    def enters(self, now: float, u: float) -> bool:
        if u < self.loss:
            return False
        self.queue_delay, self.updated = self.queueing(now), now
        if 1.0 / self.bandwidth + self.queue_delay > self.most:
            return False
        self.queue_delay += 1.0 / self.bandwidth
        return True


class PccRlModel:
    """One episode; `step(action)` returns (features of the interval, reward)."""

    def __init__(self, link: Link, rate: float, draw: Callable[[], float]) -> None:
        self.link, self.rate, self.draw = link, rate, draw
        self.now, self.events = 0.0, [(1.0 / rate, "S", 0, 0.0, False)]
        self.least: float | None = None
        self.planned = 3 * link.delay
        self.run()
        self.run()

    def run(self) -> None:
        self.start, end = self.now, self.now + self.planned
        self.sent = self.acked = self.lost = 0
        self.rtts: list[float] = []
        while self.now < end:
            self.now, kind, hop, latency, dropped = heapq.heappop(self.events)
            if kind == "S":
                self._send()
            elif hop == 1:
                there = (self.now + self.link.delay, "A", 2, latency + self.link.delay, dropped)
                heapq.heappush(self.events, there)
            elif dropped:
                self.lost += 1
            else:
                self.acked += 1
                self.rtts.append(latency)

    def _send(self) -> None:
        self.sent += 1
        heapq.heappush(self.events, (self.now + 1.0 / self.rate, "S", 0, 0.0, False))
        latency = self.link.delay + self.link.queueing(self.now)
        dropped = not self.link.enters(self.now, self.draw())
        heapq.heappush(self.events, (self.now + latency, "A", 1, 0.0 + latency, dropped))

    def step(self, action: float) -> tuple[list[float], float]:
        change = action * 0.025
        rate = self.rate * (1.0 + change) if change >= 0.0 else self.rate / (1.0 - change)
        self.rate = min(max(rate, 40), 1000)
        self.run()
        span = self.now - self.start
        mean = float(np.mean(self.rtts)) if self.rtts else 0.0
        if mean > 0.0:
            self.least = mean if self.least is None else min(self.least, mean)
            self.planned = 0.5 * mean
        half, rise = len(self.rtts) // 2, 0.0
        if half >= 1:
            rise = float(np.mean(self.rtts[half:]) - np.mean(self.rtts[:half]))
        received, sent = 8.0 * (1500 * self.acked - 1500) / span, 8.0 * (1500 * self.sent) / span
        reported = self.acked + self.lost
        loss = self.lost / reported if reported else 0.0
        reward = (10.0 * received / BITS - 1e3 * mean - 2e3 * loss) * 0.001
        ratio = mean / self.least if self.least is not None else 1.0
        send_ratio = sent / received if received > 0.0 and sent < 1000.0 * received else 1.0
        return [rise / span, ratio, send_ratio], reward
