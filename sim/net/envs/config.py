"""What an environment is made of: links, intervals, features, actions, reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from policies.congestion.base import DURING, SENT
from policies.registry import nearest
from sim.net.problems import ScenarioError, number, whole

PART = "EnvConfig"
Range = tuple[float, float]


@dataclass(frozen=True)
class EnvConfig:
    """Parameters of `triptych/Pcc-v1`; `EnvConfig.legacy()` has those of `triptych/PccLegacy-v0`.

    The distribution of links is PCC-RL's (`src/gym/network_sim.py`): each episode draws a link.

    Attributes:
        features: names of what is observed of each monitor interval, see `pcc_features`.
        history: monitor intervals in the observation, the oldest first.
        steps: monitor intervals in an episode; then it is truncated.
        delta: size of an action: Pcc-v1 multiplies the rate by (1 + delta) ** action, PccLegacy-v0
            by 1 + delta action, or divides by 1 - delta action where the action is negative.
        packet_bytes: size of every packet.
        bandwidth_bps: range of the capacity, uniform; in its logarithm with `log_bandwidth`.
        delay_s: range of the one-way delay, uniform; in its logarithm with `log_delay`.
        queue_log: the queue holds 1 + floor(exp(u)) packets, u uniform in this range.
        loss: range of the probability of random loss, uniform.
        start_share: range of the first rate as a share of the capacity, uniform.
        rate_bps: smallest and greatest rate that actions lead to.
        most_share: nor do they lead to more than this many times the link's capacity (Pcc-v1), so
            that a policy stuck at full speed floods neither the link nor memory.
        interval_rtts: planned duration of an interval, in mean RTTs of the one before.
        interval_packets: an interval goes on until this many packets were sent in it.
        first_interval_delays: planned duration of the first interval, in one-way delays.
        warmup_intervals: intervals at the first rate before the first observation.
        attribution: `during` counts what was acknowledged or found lost while an interval lasted;
            `sent` counts the fates of the packets sent in it, so that a step lasts until the
            next interval's account is complete.
        throughput_weight, latency_weight, loss_weight, reward_scale: see the kernels' `reward`.
        reward_floor: no reward is less (Pcc-v1).
    """

    features: tuple[str, ...] = ("latency inflation", "latency ratio", "send ratio")
    history: int = 10
    steps: int = 400
    delta: float = 0.05
    packet_bytes: int = 1514
    bandwidth_bps: Range = (1.2e6, 6e6)
    log_bandwidth: bool = False
    delay_s: Range = (0.05, 0.5)
    log_delay: bool = False
    queue_log: Range = (0.0, 8.0)
    loss: Range = (0.0, 0.05)
    start_share: Range = (0.3, 1.5)
    rate_bps: Range = (1e4, 1e10)
    most_share: float = 10.0
    interval_rtts: float = 0.5
    interval_packets: int = 10
    first_interval_delays: float = 3.0
    warmup_intervals: int = 2
    attribution: str = DURING
    throughput_weight: float = 1.0
    latency_weight: float = 0.2
    loss_weight: float = 0.7
    reward_scale: float = 1.0
    reward_floor: float = -10.0

    @classmethod
    def legacy(cls, **changes: Any) -> EnvConfig:
        """Return PCC-RL's parameters, changed where `changes` says so."""
        fields: dict[str, Any] = {
            "features": ("sent latency inflation", "latency ratio", "send ratio"),
            "delta": 0.025,
            "packet_bytes": 1500,
            "rate_bps": (40 * 12e3, 1000 * 12e3),
            "interval_packets": 0,
            "throughput_weight": 10.0,
            "latency_weight": 1e3,
            "loss_weight": 2e3,
            "reward_scale": 1e-3,
        }
        return cls(**{**fields, **changes})

    def check(self, known: tuple[str, ...]) -> None:
        """Check every field; `known` are the names of the features there are.

        Raises:
            ScenarioError: a field is out of range; the message names it.
        """
        _features(self.features, known)
        whole(PART, "history", self.history, 1, 10_000)
        whole(PART, "steps", self.steps, 1)
        whole(PART, "packet_bytes", self.packet_bytes, 1, 65_600)
        whole(PART, "interval_packets", self.interval_packets, 0, 1_000_000)
        whole(PART, "warmup_intervals", self.warmup_intervals, 0, 10_000)
        number(PART, "delta", self.delta, above=0.0, below=1.0)
        _range("bandwidth_bps", self.bandwidth_bps, least=1e3, most=1e11)
        _range("delay_s", self.delay_s, least=1e-6, most=100.0)
        _range("queue_log", self.queue_log, least=0.0, most=16.0)
        _range("loss", self.loss, least=0.0, most=0.99)
        _range("start_share", self.start_share, least=1e-4, most=100.0)
        _range("rate_bps", self.rate_bps, least=1e3, most=1e11)
        number(PART, "most_share", self.most_share, at_least=1.0, below=1e6)
        number(PART, "interval_rtts", self.interval_rtts, above=0.0, below=1e3)
        number(PART, "first_interval_delays", self.first_interval_delays, above=0.0, below=1e3)
        for name in ("throughput_weight", "reward_scale"):
            number(PART, name, getattr(self, name), above=0.0)
        for name in ("latency_weight", "loss_weight"):
            number(PART, name, getattr(self, name))
        number(PART, "reward_floor", self.reward_floor, at_least=-1e9, below=0.0)
        if self.attribution not in (DURING, SENT):
            raise ScenarioError(
                f"{PART}: attribution must be {DURING!r} or {SENT!r}, got {self.attribution!r}"
            )


def _features(names: Any, known: tuple[str, ...]) -> None:
    if not isinstance(names, tuple | list) or not names:
        raise ScenarioError(f"{PART}: features must be a tuple of names, got {names!r}")
    for i, name in enumerate(names):
        if name not in known:
            near = nearest(name, known)
            hint = f"; did you mean {near!r}?" if near else ""
            raise ScenarioError(
                f"{PART}: features[{i}] = {name!r} is unknown{hint} (known: {', '.join(known)})"
            )


def _range(field: str, value: Any, least: float, most: float) -> None:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ScenarioError(f"{PART}: {field} must be (lowest, highest), got {value!r}")
    number(PART, f"{field}[0]", value[0], at_least=least, below=np.nextafter(most, np.inf))
    number(PART, f"{field}[1]", value[1], at_least=value[0], below=np.nextafter(most, np.inf))


# What kernels read of a configuration. Rates of PccLegacy-v0 are packets/s, of Pcc-v1 bits/s.
PARAMETERS = np.dtype(
    [(name, np.float64) for name in ("bandwidth_low", "bandwidth_high", "delay_low", "delay_high")]
    + [(name, np.float64) for name in ("queue_low", "queue_high", "loss_low", "loss_high")]
    + [(name, np.float64) for name in ("start_low", "start_high", "rate_low", "rate_high")]
    + [(name, np.float64) for name in ("delta", "interval_rtts", "first_interval_delays")]
    + [("most_share", np.float64)]
    + [(name, np.float64) for name in ("throughput_weight", "latency_weight", "loss_weight")]
    + [(name, np.float64) for name in ("reward_scale", "reward_floor", "packet_bits")]
    + [(name, np.int64) for name in ("steps", "interval_packets", "warmup_intervals")]
    + [(name, np.int64) for name in ("log_bandwidth", "log_delay", "by_sent", "slope")],
    align=True,
)


def parameters(config: EnvConfig, rate_unit_bps: float) -> np.ndarray:
    """Return PARAMETERS[1], with rates in units of `rate_unit_bps`."""
    row = np.zeros(1, PARAMETERS)
    for name in PARAMETERS.names or ():
        if hasattr(config, name):
            row[name] = getattr(config, name)
    for name, unit in (("bandwidth", rate_unit_bps), ("rate", rate_unit_bps), ("start", 1.0)):
        field = {"start": "start_share"}.get(name, f"{name}_bps")
        row[f"{name}_low"], row[f"{name}_high"] = (end / unit for end in getattr(config, field))
    for name, field in (("delay", "delay_s"), ("queue", "queue_log"), ("loss", "loss")):
        row[f"{name}_low"], row[f"{name}_high"] = getattr(config, field)
    row["packet_bits"] = 8 * config.packet_bytes
    row["by_sent"] = config.attribution == SENT
    row["slope"] = "latency slope" in config.features
    return row
