"""A network, its flows and how long to watch them: the one input of both engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from policies.congestion.base import CONTROLLERS, DURING, SENT
from sim.net.links import MAX_DELAY_NS, MAX_NS, Link
from sim.net.problems import ScenarioError, number, whole
from sim.streams import canonical_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SECOND = 1_000_000_000
FOREVER = 4 * 10**18


@dataclass(frozen=True)
class Flow:
    """A sender with a congestion controller and endless data.

    Attributes:
        controller: a registered name, or a controller class.
        path: indices of the links that its packets pass, in order.
        return_delay_ns: delay of the ACK path; None: the sum of its links' propagation delays.
        start_ns, stop_ns: it sends from start to before stop.
        parameters: of the controller, where they differ from its defaults.
        start_rate_bps: proposal for a rate-based controller; None: NaN, and it has its own.
        packet_bytes: size on the wire; what links serve and queues count.
        payload_bytes: of that, what counts as goodput; default packet_bytes - 66 (Ethernet,
            IPv4, TCP with time stamps: 1448 of 1514).
        ack_every, ack_timeout_ns: delayed ACKs; 1: every packet at once.
        min_rto_ns: floor of the retransmission time-out; 200 ms as Linux, RFC 6298 says 1 s.
        attribution: which packets a monitor interval counts; None: the controller's own way.
    """

    controller: Any
    path: tuple[int, ...] = (0,)
    return_delay_ns: int | None = None
    start_ns: int = 0
    stop_ns: int = FOREVER
    parameters: Mapping[str, float] = field(default_factory=dict)
    start_rate_bps: float | None = None
    initial_window: int = 10
    packet_bytes: int = 1514
    payload_bytes: int | None = None
    ack_every: int = 1
    ack_timeout_ns: int = 40_000_000
    min_rto_ns: int = 200_000_000
    attribution: str | None = None
    name: str = "flow"

    @property
    def controller_class(self) -> Any:
        """Return the controller's class, looked up if it is given by name."""
        named = isinstance(self.controller, str)
        return CONTROLLERS.get(self.controller) if named else self.controller

    @property
    def counts(self) -> str:
        """Return which packets its monitor intervals count."""
        return self.attribution or self.controller_class.attribution

    def constants(self) -> NDArray[np.float64]:
        """Return its controller's constants.

        Raises:
            ValueError: a parameter is unknown or out of range; the message names it.
        """
        return self.controller_class.constants_for(self.parameters, self.counts)

    @property
    def payload(self) -> int:
        """Return the payload bytes of a packet."""
        return max(1, self.packet_bytes - 66) if self.payload_bytes is None else self.payload_bytes

    @property
    def label(self) -> str:
        """Return what messages call it."""
        controller = self.controller if isinstance(self.controller, str) else self.controller.name
        return f"flow {self.name!r} ({controller})"

    def check(self, links: int) -> None:
        """Raise ScenarioError or LookupError if a field is out of range; the message names it."""
        part = f"flow {self.name!r}"
        controller = self.controller_class
        for function in ("init", "constants_for"):
            if not hasattr(controller, function):
                raise ScenarioError(f"{part}: controller {controller!r} is not a controller")
        _path(part, self.path, links)
        _times(part, self.start_ns, self.stop_ns)
        if self.return_delay_ns is not None:
            whole(part, "return_delay_ns", self.return_delay_ns, 0, MAX_DELAY_NS)
        whole(part, "packet_bytes", self.packet_bytes, 1, 65_600)
        whole(part, "payload_bytes", self.payload, 1, self.packet_bytes)
        whole(part, "initial_window", self.initial_window, 1, 10**6)
        whole(part, "ack_every", self.ack_every, 1, 1000)
        whole(part, "ack_timeout_ns", self.ack_timeout_ns, 1, MAX_NS)
        whole(part, "min_rto_ns", self.min_rto_ns, 1, MAX_NS)
        if self.start_rate_bps is not None:
            number(part, "start_rate_bps", self.start_rate_bps, at_least=1.0, below=1e13)
        if self.attribution not in (None, DURING, SENT):
            raise ScenarioError(
                f"{part}: attribution must be {DURING!r} or {SENT!r}, got {self.attribution!r}"
            )
        try:
            self.constants()
        except ValueError as error:
            raise ScenarioError(f"{part}: parameters: {error}") from None


@dataclass(frozen=True)
class Sizes:
    """Sizes of an open-loop source's packets, in bytes.

    Attributes:
        kind: `fixed` (all `mean`), `uniform` (integers low..high), `exponential` (mean, rounded
            up), or `listed` (`values` with `weights`).
    """

    kind: str = "fixed"
    mean: float = 1514.0
    low: int = 0
    high: int = 0
    values: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()

    def check(self, part: str) -> None:
        """Raise ScenarioError unless the fields of its kind are in range."""
        if self.kind in ("fixed", "exponential"):
            number(part, "sizes.mean", self.mean, at_least=1.0, below=65_600.0)
        elif self.kind == "uniform":
            whole(part, "sizes.low", self.low, 1, 65_600)
            whole(part, "sizes.high", self.high, self.low, 65_600)
        elif self.kind == "listed":
            if not self.values or len(self.values) != len(self.weights):
                raise ScenarioError(f"{part}: sizes needs as many weights as values")
            for size, weight in zip(self.values, self.weights, strict=True):
                whole(part, "sizes.values", size, 1, 65_600)
                number(part, "sizes.weights", weight, above=0.0)
        else:
            raise ScenarioError(
                f"{part}: sizes.kind must be fixed, uniform, exponential or listed, "
                f"got {self.kind!r}"
            )


@dataclass(frozen=True)
class Source:
    """An open-loop source: it sends whatever the network does, and gets no ACKs.

    Attributes:
        pattern: `constant`, `poisson` or `onoff`.
        rate_bps: mean rate; with `onoff` the rate while on.
        on_ns, off_ns: mean of the exponential on and off times (`onoff` only).
    """

    pattern: str
    rate_bps: float
    path: tuple[int, ...] = (0,)
    sizes: Sizes = field(default_factory=Sizes)
    on_ns: int = 0
    off_ns: int = 0
    start_ns: int = 0
    stop_ns: int = FOREVER
    name: str = "source"

    @property
    def label(self) -> str:
        """Return what messages call it."""
        return f"source {self.name!r} ({self.pattern})"

    def check(self, links: int) -> None:
        """Raise ScenarioError if a field is out of range; the message names it."""
        part = f"source {self.name!r}"
        if self.pattern not in ("constant", "poisson", "onoff"):
            raise ScenarioError(
                f"{part}: pattern must be constant, poisson or onoff, got {self.pattern!r}"
            )
        number(part, "rate_bps", self.rate_bps, at_least=1.0, below=1e13)
        _path(part, self.path, links)
        _times(part, self.start_ns, self.stop_ns)
        self.sizes.check(part)
        if self.pattern == "onoff":
            whole(part, "on_ns", self.on_ns, 1, MAX_NS)
            whole(part, "off_ns", self.off_ns, 1, MAX_NS)


@dataclass(frozen=True)
class Scenario:
    """Everything that a run depends on.

    Attributes:
        links: referred to by index.
        flows: controlled flows and open-loop sources.
        duration_ns: events up to this time happen.
        seed: root seed, >= 0.
        identity: JSON-able; the luck of links and sources is keyed by (seed, identity, index),
            never by the controllers, so that policies meet the same losses and arrivals.
        measure_from_ns: totals count packets delivered (sent, dropped) from here on.
        bin_ns: width of the bins of the series over time; 0: no series.
    """

    links: tuple[Link, ...]
    flows: tuple[Flow | Source, ...]
    duration_ns: int
    seed: int = 0
    identity: Mapping[str, Any] = field(default_factory=dict)
    measure_from_ns: int = 0
    bin_ns: int = 0

    def __post_init__(self) -> None:
        """Check everything, so that a scenario that exists can be simulated.

        Raises:
            ScenarioError: a field is out of range.
            UnknownNameError: there is no such controller.
        """
        if not self.links or not self.flows:
            raise ScenarioError("scenario: needs at least one link and one flow")
        for link in self.links:
            link.check()
        for flow in self.flows:
            if not isinstance(flow, Flow | Source):
                raise ScenarioError(f"scenario: {flow!r} is neither a Flow nor a Source")
            flow.check(len(self.links))
        _serialisable(self.identity)
        whole("scenario", "duration_ns", self.duration_ns, 1, MAX_NS)
        whole("scenario", "seed", self.seed, 0)
        whole("scenario", "measure_from_ns", self.measure_from_ns, 0, self.duration_ns - 1)
        whole("scenario", "bin_ns", self.bin_ns, 0, MAX_NS)
        if self.bin_ns and self.duration_ns // self.bin_ns > 1_000_000:
            raise ScenarioError(f"scenario: bin_ns = {self.bin_ns} makes over a million bins")

    def return_delay_ns(self, flow: Flow) -> int:
        """Return the delay of the flow's ACK path."""
        if flow.return_delay_ns is not None:
            return flow.return_delay_ns
        return sum(self.links[hop].delay_ns for hop in flow.path)


def _serialisable(identity: Any) -> None:
    try:
        canonical_json(dict(identity))
    except (TypeError, ValueError) as error:
        raise ScenarioError(f"scenario: identity is not JSON: {error}") from None


def _path(part: str, path: tuple[int, ...], links: int) -> None:
    if not path:
        raise ScenarioError(f"{part}: path holds no link")
    for i, hop in enumerate(path):
        whole(part, f"path[{i}]", hop, 0, links - 1)
    if len(set(path)) != len(path):
        raise ScenarioError(f"{part}: path passes a link twice")


def _times(part: str, start_ns: int, stop_ns: int) -> None:
    whole(part, "start_ns", start_ns, 0, MAX_NS)
    whole(part, "stop_ns", stop_ns, start_ns + 1, FOREVER)
