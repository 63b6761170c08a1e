"""From the configuration of `congestion-link` to the scenario that the packet engine runs."""

from __future__ import annotations

from typing import Any

from experiments.kinds.congestion_config import (
    BernoulliLoss,
    CoDelQueue,
    CongestionConfig,
    ConstantCapacity,
    GilbertElliottLoss,
    OpportunityCapacity,
    QueueLimit,
    RateStart,
    RedQueue,
    ShareStart,
)
from sim.net import links
from sim.net.measures import capacity_bits
from sim.net.scenario import Flow, Scenario
from sim.streams import stream

MEGA = 1e6
MS = 1_000_000
SECOND = 1_000_000_000
# What the luck of link and flows is keyed by: the link, and who starts when; not the policies.
LUCK = ("capacity", "rtt_ms", "queue", "loss", "jitter_ms", "start_spread_ms")


# paper: symbolicpcc bandwidth; symbolicpcc latency; symbolicpcc queue; symbolicpcc loss
def scenario_of(config: CongestionConfig, policy: str, seed: int) -> Scenario:
    """Return the scenario: link 0 is the bottleneck, the policy's flows come first.

    Raises:
        ScenarioError: a field, or a controller's parameter, is out of range.
    """
    return Scenario(
        links=(link_of(config),),
        flows=tuple(_flows(config, policy, seed)),
        duration_ns=_ns(config.duration_s),
        seed=seed,
        identity=identity_of(config),
        measure_from_ns=_ns(config.warmup_s),
        bin_ns=_ns(config.bin_s),
    )


def identity_of(config: CongestionConfig) -> dict[str, Any]:
    """Return what chance depends on: never the controllers or their parameters."""
    whole = config.model_dump(mode="json")
    return {name: whole[name] for name in LUCK}


def link_of(config: CongestionConfig) -> links.Link:
    """Return the bottleneck; half the base RTT is its propagation delay."""
    return links.Link(
        capacity=_capacity(config),
        delay_ns=_ns(config.rtt_ms / 2000),
        queue=_queue(config),
        loss=_loss(config),
        jitter_ns=_ns(config.jitter_ms / 1000),
        name="bottleneck",
    )


def mean_bps(config: CongestionConfig) -> float:
    """Return the bottleneck's mean capacity over the run, bits/s."""
    bits = capacity_bits(_capacity(config), 0, _ns(config.duration_s), config.packet_bytes)
    return bits / config.duration_s


def _ns(seconds: float) -> int:
    return round(seconds * SECOND)


# paper: symbolicpcc dynamics
def _capacity(config: CongestionConfig) -> links.Capacity:
    wanted = config.capacity
    if isinstance(wanted, ConstantCapacity):
        return links.Constant(wanted.mbps * MEGA)
    if isinstance(wanted, OpportunityCapacity):
        return links.Opportunities(tuple(round(t * MS) for t in wanted.at_ms), _ms(wanted))
    rates = tuple(rate * MEGA for rate in wanted.mbps)
    period = None if wanted.period_s is None else _ns(wanted.period_s)
    return links.Stepped(tuple(_ns(t) for t in wanted.at_s), rates, period)


def _ms(wanted: OpportunityCapacity) -> int:
    return round(wanted.period_ms * MS)


def _queue(config: CongestionConfig) -> links.Queue:
    wanted = config.queue
    if isinstance(wanted, RedQueue):
        limit = _packets(config, wanted)
        return links.Red(
            low_packets=wanted.low * limit,
            high_packets=wanted.high * limit,
            packets=limit,
            max_probability=wanted.max_probability,
            weight=wanted.weight,
        )
    if isinstance(wanted, CoDelQueue):
        times = (_ns(wanted.target_ms / 1000), _ns(wanted.interval_ms / 1000))
        return links.CoDel(_packets(config, wanted), *times)
    if wanted.kb is not None:
        return links.DropTail(bytes=max(1, round(wanted.kb * 1000)))
    return links.DropTail(packets=_packets(config, wanted))


def _packets(config: CongestionConfig, wanted: QueueLimit) -> int:
    """Return the limit in packets, at least 1."""
    if wanted.packets is not None:
        return wanted.packets
    if wanted.kb is not None:
        size = wanted.kb * 1000
    else:
        size = (wanted.bdp or 0.0) * mean_bps(config) * config.rtt_ms / 8000
    return max(1, round(size / config.packet_bytes))


# paper: symbolicpcc loss; symbolicpcc lossy trace
def _loss(config: CongestionConfig) -> links.Loss | None:
    wanted = config.loss
    if isinstance(wanted, BernoulliLoss):
        return links.Bernoulli(wanted.p) if wanted.p else None
    if isinstance(wanted, GilbertElliottLoss):
        chain = (wanted.to_bad, wanted.to_good, wanted.loss_bad, wanted.loss_good)
        return links.GilbertElliott(*chain)
    return None


def _flows(config: CongestionConfig, policy: str, seed: int) -> list[Flow]:
    extra = config.extra_rtt_ms or [0.0] * config.flows
    wanted = [(policy, f"{policy} {i + 1}", more) for i, more in enumerate(extra)]
    for i, other in enumerate(config.competitors):
        wanted.append((other.policy, f"{other.policy} against it {i + 1}", other.extra_rtt_ms))
    starts = config.starts_s()
    late_ms = stream(seed, identity_of(config), "starts").uniform(0, 1, len(starts))
    late_ms = late_ms * config.start_spread_ms
    return [
        Flow(
            controller=controller,
            return_delay_ns=_ns(config.rtt_ms / 2000) + _ns(more / 1000),
            start_ns=_ns(start) + round(late * MS),
            parameters=config.parameters.get(controller, {}),
            start_rate_bps=_start_bps(config, controller),
            packet_bytes=config.packet_bytes,
            payload_bytes=config.packet_bytes - config.header_bytes,
            ack_every=config.ack_every,
            min_rto_ns=_ns(config.min_rto_ms / 1000),
            name=name,
        )
        for (controller, name, more), start, late in zip(wanted, starts, late_ms, strict=True)
    ]


def _start_bps(config: CongestionConfig, controller: str) -> float | None:
    wanted = config.start.get(controller)
    if isinstance(wanted, RateStart):
        return wanted.mbps * MEGA
    if isinstance(wanted, ShareStart):
        return wanted.share * mean_bps(config)
    return None
