"""What a link is: capacity, delay, queue and loss. Descriptions only; the engines act on them."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim.net.problems import ScenarioError, number, whole

MAX_BPS = 1e11 + 1.0
"""100 Gbit/s: beyond, whole nanoseconds are too coarse for packets (docs/network-model.md)."""
MAX_NS = 10**17
MAX_PACKET_BYTES = 65_600
MAX_DELAY_NS = 10**15
"""11 days; with it no sum of delays along a path comes near what an int64 holds."""


@dataclass(frozen=True)
class Constant:
    """The same capacity for ever."""

    rate_bps: float

    def check(self, part: str) -> None:
        """Raise ScenarioError unless 1 bit/s <= rate <= 100 Gbit/s."""
        number(part, "capacity.rate_bps", self.rate_bps, at_least=1.0, below=MAX_BPS)


@dataclass(frozen=True)
class Stepped:
    """Rates that hold from given times on, repeated every `period_ns` where that is set.

    Attributes:
        at_ns: when each rate begins; rising, the first is 0.
        rate_bps: the rates, as many.
        period_ns: None: the last rate holds for ever.
    """

    at_ns: tuple[int, ...]
    rate_bps: tuple[float, ...]
    period_ns: int | None = None

    def check(self, part: str) -> None:
        """Raise ScenarioError unless times rise from 0 and every rate is allowed."""
        if not self.at_ns or len(self.at_ns) != len(self.rate_bps):
            raise ScenarioError(f"{part}: capacity needs as many times as rates, at least one")
        for i, rate in enumerate(self.rate_bps):
            number(part, f"capacity.rate_bps[{i}]", rate, at_least=1.0, below=MAX_BPS)
        _rising(part, "capacity.at_ns", self.at_ns, strictly=True)
        if self.at_ns[0] != 0:
            raise ScenarioError(f"{part}: capacity.at_ns must begin with 0, got {self.at_ns[0]}")
        if self.period_ns is not None:
            whole(part, "capacity.period_ns", self.period_ns, self.at_ns[-1] + 1, MAX_NS)


@dataclass(frozen=True)
class Opportunities:
    """Times at which one packet may leave, repeated every `period_ns` (mahimahi's trace format).

    Attributes:
        at_ns: times of one period, not falling, from 0 to below `period_ns`.
        period_ns: length of the period.
    """

    at_ns: tuple[int, ...]
    period_ns: int

    def check(self, part: str) -> None:
        """Raise ScenarioError unless times are in order and inside the period."""
        if not self.at_ns:
            raise ScenarioError(f"{part}: capacity.at_ns holds no opportunity")
        _rising(part, "capacity.at_ns", self.at_ns, strictly=False)
        whole(part, "capacity.period_ns", self.period_ns, self.at_ns[-1] + 1, MAX_NS)


@dataclass(frozen=True)
class DropTail:
    """A FIFO that drops what finds it full. One of the two limits is set.

    Attributes:
        packets: waiting packets that fit, the one in service not counted.
        bytes: waiting bytes that fit.
    """

    packets: int | None = None
    bytes: int | None = None

    def check(self, part: str) -> None:
        """Raise ScenarioError unless exactly one limit is set, to at least 1."""
        if (self.packets is None) == (self.bytes is None):
            raise ScenarioError(f"{part}: queue needs one limit, `packets` or `bytes`")
        if self.packets is not None:
            whole(part, "queue.packets", self.packets, 1, 10**9)
        if self.bytes is not None:
            whole(part, "queue.bytes", self.bytes, 1, 10**13)


@dataclass(frozen=True)
class Red:
    """Random early detection, gentle variant (Floyd and Jacobson, ToN 1993; Floyd 2000).

    Attributes:
        low_packets, high_packets: average queues at which dropping begins, and where it
            reaches `max_probability`; from there it rises to 1 at twice `high_packets`.
        max_probability: drop probability at `high_packets`.
        weight: of the newest sample in the average.
        packets: hard limit, waiting packets.
    """

    low_packets: float
    high_packets: float
    packets: int
    max_probability: float = 0.1
    weight: float = 0.002

    def check(self, part: str) -> None:
        """Raise ScenarioError unless 0 < low < high and the rest is in range."""
        number(part, "queue.low_packets", self.low_packets, above=0.0, below=1e9)
        number(part, "queue.high_packets", self.high_packets, above=self.low_packets, below=1e9)
        number(part, "queue.max_probability", self.max_probability, above=0.0, below=1.0)
        number(part, "queue.weight", self.weight, above=0.0, below=1.0)
        whole(part, "queue.packets", self.packets, 1, 10**9)


@dataclass(frozen=True)
class CoDel:
    """Controlled delay (RFC 8289), dropping at the head of the queue.

    Attributes:
        packets: hard limit, waiting packets.
        target_ns, interval_ns: RFC 8289's TARGET and INTERVAL.
    """

    packets: int
    target_ns: int = 5_000_000
    interval_ns: int = 100_000_000

    def check(self, part: str) -> None:
        """Raise ScenarioError unless limits are positive."""
        whole(part, "queue.packets", self.packets, 1, 10**9)
        whole(part, "queue.target_ns", self.target_ns, 1, MAX_NS)
        whole(part, "queue.interval_ns", self.interval_ns, 1, MAX_NS)


@dataclass(frozen=True)
class Bernoulli:
    """Each packet is lost with probability `p`, independently."""

    p: float

    def check(self, part: str) -> None:
        """Raise ScenarioError unless 0 <= p < 1."""
        number(part, "loss.p", self.p, below=1.0)


@dataclass(frozen=True)
class GilbertElliott:
    """Two states with their own loss; the chain moves once per packet (Gilbert 1960, Elliott 1963).

    Attributes:
        to_bad, to_good: transition probabilities per packet.
        loss_good, loss_bad: loss probabilities in the two states.
    """

    to_bad: float
    to_good: float
    loss_bad: float = 1.0
    loss_good: float = 0.0

    def check(self, part: str) -> None:
        """Raise ScenarioError unless all are probabilities and the bad state ends."""
        number(part, "loss.to_bad", self.to_bad, below=1.0)
        number(part, "loss.to_good", self.to_good, above=0.0, below=1.0 + 1e-12)
        number(part, "loss.loss_bad", self.loss_bad, below=1.0 + 1e-12)
        number(part, "loss.loss_good", self.loss_good, below=1.0)


Capacity = Constant | Stepped | Opportunities
Queue = DropTail | Red | CoDel
Loss = Bernoulli | GilbertElliott


@dataclass(frozen=True)
class Link:
    """One direction of a link.

    Attributes:
        capacity: how fast it serves.
        delay_ns: propagation.
        queue: what waits, and what is dropped.
        loss: random loss before the queue; None: none.
        jitter_ns: largest extra delay, uniform, without reordering; 0: none.
        name: how messages and results call it.
    """

    capacity: Capacity
    delay_ns: int
    queue: Queue
    loss: Loss | None = None
    jitter_ns: int = 0
    name: str = field(default="link")

    @property
    def least_bps(self) -> float:
        """Return the lowest capacity that a packet can meet (of a trace: per packet of 1514 B)."""
        if isinstance(self.capacity, Constant):
            return self.capacity.rate_bps
        if isinstance(self.capacity, Stepped):
            return min(self.capacity.rate_bps)
        return len(self.capacity.at_ns) * 1514 * 8e9 / self.capacity.period_ns

    def check(self) -> None:
        """Raise ScenarioError if any field is out of range; the message names it."""
        part = f"link {self.name!r}"
        for name, kinds in (("capacity", Capacity), ("queue", Queue)):
            if not isinstance(getattr(self, name), kinds):
                raise ScenarioError(f"{part}: {name} is {getattr(self, name)!r}")
        whole(part, "delay_ns", self.delay_ns, 0, MAX_DELAY_NS)
        whole(part, "jitter_ns", self.jitter_ns, 0, MAX_DELAY_NS)
        self.capacity.check(part)
        self.queue.check(part)
        self._check_longest_wait(part)
        if self.loss is not None:
            if not isinstance(self.loss, Loss):
                raise ScenarioError(f"{part}: loss is {self.loss!r}")
            self.loss.check(part)

    def _check_longest_wait(self, part: str) -> None:
        packets = self.queue.packets or 0
        in_bytes = self.queue.bytes if isinstance(self.queue, DropTail) else None
        full = in_bytes or MAX_PACKET_BYTES * packets
        if full * 8e9 / self.least_bps > MAX_NS:
            raise ScenarioError(
                f"{part}: a full queue would take over {MAX_NS / 1e9:g} s to leave; make `queue` "
                "shorter or `capacity` higher"
            )


def _rising(part: str, name: str, times: tuple[int, ...], strictly: bool) -> None:
    for i, time in enumerate(times):
        whole(part, f"{name}[{i}]", time, 0, MAX_NS)
        if i and (time < times[i - 1] or (strictly and time == times[i - 1])):
            raise ScenarioError(f"{part}: {name}[{i}] = {time} does not come after {times[i - 1]}")
