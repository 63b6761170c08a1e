"""Configuration of the run kind `congestion-link`, as a manifest writes it.

Rates are in Mbit/s of 1e6, sizes in KB of 1000 bytes, as the papers write them.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from experiments.kinds.base import Config
from policies.congestion.base import CONTROLLERS
from policies.registry import UnknownNameError

MAX_FLOWS = 256
Mbps = Annotated[float, Field(gt=0, le=1e6)]
Milliseconds = Annotated[float, Field(ge=0, le=1e6)]
Probability = Annotated[float, Field(ge=0, lt=1)]


def known_controller(name: str) -> str:
    """Return the name of a registered controller.

    Raises:
        ValueError: nobody is called so; the message offers the nearest name.
    """
    try:
        return CONTROLLERS.check(name)
    except UnknownNameError as error:
        raise ValueError(str(error)) from None


class ConstantCapacity(Config):
    """The same capacity throughout."""

    kind: Literal["constant"]
    mbps: Mbps = Field(description="Capacity, Mbit/s.")


class SteppedCapacity(Config):
    """Capacities that hold from given times on."""

    kind: Literal["steps"]
    at_s: list[float] = Field(min_length=1, description="When each begins, s; rising from 0.")
    mbps: list[Mbps] = Field(min_length=1, description="The capacities, as many, Mbit/s.")
    period_s: float | None = Field(
        default=None, gt=0, le=1e6, description="Repeat after so many seconds; never if null."
    )

    @model_validator(mode="after")
    def _in_order(self) -> SteppedCapacity:
        if len(self.at_s) != len(self.mbps):
            raise ValueError(f"mbps: {len(self.mbps)} capacities for {len(self.at_s)} times")
        if self.at_s[0] != 0 or any(b <= a for a, b in itertools.pairwise(self.at_s)):
            raise ValueError(f"at_s: times begin with 0 and rise, found {self.at_s}")
        if self.period_s is not None and self.period_s <= self.at_s[-1]:
            raise ValueError(f"period_s: must be after the last step, at {self.at_s[-1]} s")
        return self


class OpportunityCapacity(Config):
    """Times at which one packet may leave (mahimahi's trace format)."""

    kind: Literal["opportunities"]
    at_ms: list[Milliseconds] = Field(min_length=1, description="Times, ms, not falling.")
    period_ms: float = Field(gt=0, le=1e6, description="The times repeat after so long.")

    @model_validator(mode="after")
    def _in_order(self) -> OpportunityCapacity:
        if self.at_ms != sorted(self.at_ms) or self.at_ms[-1] >= self.period_ms:
            raise ValueError("at_ms: times must not fall and lie before period_ms")
        return self


Capacities = Annotated[
    ConstantCapacity | SteppedCapacity | OpportunityCapacity, Field(discriminator="kind")
]


class QueueLimit(Config):
    """How much may wait: exactly one of the three."""

    kb: float | None = Field(default=None, gt=0, le=1e9, description="KB of 1000 bytes.")
    packets: int | None = Field(default=None, ge=1, le=10**9, description="Packets.")
    bdp: float | None = Field(
        default=None, gt=0, le=1e4, description="Multiples of mean capacity x base RTT."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> QueueLimit:
        if sum(limit is not None for limit in (self.kb, self.packets, self.bdp)) != 1:
            raise ValueError("queue: give exactly one of kb, packets and bdp")
        return self


class DropTailQueue(QueueLimit):
    """A FIFO that drops what finds it full."""

    kind: Literal["drop_tail"]


class RedQueue(QueueLimit):
    """Random early detection, gentle; thresholds as shares of the limit."""

    kind: Literal["red"]
    low: float = Field(default=0.1, gt=0, lt=1, description="Dropping begins at this share.")
    high: float = Field(default=0.4, gt=0, lt=1, description="It reaches max_probability here.")
    max_probability: float = Field(default=0.1, gt=0, lt=1, description="Drop probability there.")
    weight: float = Field(default=0.002, gt=0, lt=1, description="Newest sample in the average.")

    @model_validator(mode="after")
    def _rises(self) -> RedQueue:
        if self.low >= self.high:
            raise ValueError(f"low: must be below high ({self.high}), found {self.low}")
        return self


class CoDelQueue(QueueLimit):
    """Controlled delay, RFC 8289."""

    kind: Literal["codel"]
    target_ms: float = Field(default=5.0, gt=0, le=1e4, description="TARGET, ms.")
    interval_ms: float = Field(default=100.0, gt=0, le=1e5, description="INTERVAL, ms.")


Queues = Annotated[DropTailQueue | RedQueue | CoDelQueue, Field(discriminator="kind")]


class BernoulliLoss(Config):
    """Every packet is lost with the same probability."""

    kind: Literal["bernoulli"]
    p: Probability = Field(description="Probability per packet.")


class GilbertElliottLoss(Config):
    """Losses in bursts: a good and a bad state."""

    kind: Literal["gilbert_elliott"]
    to_bad: Probability = Field(description="Probability per packet of turning bad.")
    to_good: float = Field(gt=0, le=1, description="Probability per packet of turning good.")
    loss_bad: float = Field(default=1.0, ge=0, le=1, description="Loss probability while bad.")
    loss_good: Probability = Field(default=0.0, description="Loss probability while good.")


Losses = Annotated[BernoulliLoss | GilbertElliottLoss, Field(discriminator="kind")]


class OwnStart(Config):
    """It starts as it would anywhere: it knows nothing of the link."""

    kind: Literal["own"]


class ShareStart(Config):
    """It starts at a share of the mean capacity."""

    kind: Literal["share"]
    share: float = Field(gt=0, le=10, description="Of the mean capacity.")


class RateStart(Config):
    """It starts at a given rate."""

    kind: Literal["rate"]
    mbps: Mbps = Field(description="Rate, Mbit/s.")


Starts = Annotated[OwnStart | ShareStart | RateStart, Field(discriminator="kind")]


class Competitor(Config):
    """One more flow on the link, with a controller of its own."""

    policy: str = Field(description="Name of its controller.")
    start_s: float = Field(default=0.0, ge=0, le=1e6, description="When it starts, s.")
    extra_rtt_ms: Milliseconds = Field(default=0.0, description="Added to the base RTT.")

    @field_validator("policy")
    @classmethod
    def _is_known(cls, name: str) -> str:
        return known_controller(name)


class CongestionConfig(Config):
    """Configuration of `congestion-link`: flows over one bottleneck."""

    capacity: Capacities = ConstantCapacity(kind="constant", mbps=30.0)
    rtt_ms: float = Field(default=30.0, ge=0, le=1e5, description="Base RTT, half of it each way.")
    queue: Queues = DropTailQueue(kind="drop_tail", kb=1000.0)
    loss: Losses | None = Field(default=None, description="Random loss before the queue.")
    jitter_ms: Milliseconds = Field(default=0.0, description="Largest extra delay, uniform.")

    duration_s: float = Field(default=30.0, gt=0, le=1e5, description="Simulated time, s.")
    warmup_s: float = Field(default=5.0, ge=0, description="What metrics leave out, s.")
    bin_s: float = Field(default=0.5, ge=0.001, le=10, description="Bins of the series, s.")

    flows: int = Field(default=1, ge=1, le=MAX_FLOWS, description="Flows of the policy.")
    stagger_s: float = Field(default=0.0, ge=0, description="Each starts so long after the last.")
    start_spread_ms: Milliseconds = Field(
        default=0.0, description="Random extra delay of every flow's start, uniform."
    )
    extra_rtt_ms: list[Milliseconds] = Field(
        default_factory=list, description="Added to the base RTT, per flow of the policy."
    )
    competitors: list[Competitor] = Field(default_factory=list, max_length=MAX_FLOWS)
    start: dict[str, Starts] = Field(
        default_factory=dict, description="Per rate-based controller: where it starts."
    )
    parameters: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="Per controller: parameters other than its defaults."
    )

    packet_bytes: int = Field(default=1514, ge=100, le=65_000, description="On the wire.")
    header_bytes: int = Field(default=66, ge=0, le=99, description="Of them, not payload.")
    ack_every: int = Field(default=1, ge=1, le=1000, description="Packets per ACK.")
    min_rto_ms: float = Field(default=200.0, gt=0, le=6e4, description="Floor of the time-out.")

    @field_validator("parameters", "start")
    @classmethod
    def _of_controllers(cls, given: dict[str, Any]) -> dict[str, Any]:
        for name in given:
            known_controller(name)
        return given

    @model_validator(mode="after")
    def _in_time(self) -> CongestionConfig:
        if self.warmup_s >= self.duration_s:
            raise ValueError(f"warmup_s: must be below duration_s = {self.duration_s}")
        if self.duration_s / self.bin_s > 1e6:
            raise ValueError(f"bin_s: {self.bin_s} makes over a million bins")
        if abs(self.duration_s / self.bin_s - round(self.duration_s / self.bin_s)) > 1e-6:
            raise ValueError(f"bin_s: duration_s = {self.duration_s} is no whole number of bins")
        last = max(self.starts_s())
        if last >= self.duration_s:
            raise ValueError(f"duration_s: ends before the last flow starts, at {last} s")
        if self.extra_rtt_ms and len(self.extra_rtt_ms) != self.flows:
            raise ValueError(f"extra_rtt_ms: {len(self.extra_rtt_ms)} values, {self.flows} flows")
        return self

    def starts_s(self) -> list[float]:
        """Return when each flow starts, without the random spread: the policy's, then others."""
        own = [i * self.stagger_s for i in range(self.flows)]
        return [*own, *(other.start_s for other in self.competitors)]
