"""Run kind `congestion-ack-cost`: what a rule in the kernel costs per ACK and per gigabyte.

Both are measured in turn with what they are held against, in one private world, so that a machine
which is slow for a while is slow for all. Every seed is a repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from experiments.kinds.base import Config, Outcome, register
from experiments.kinds.congestion_emulated import missing_for
from policies.congestion.base import CONTROLLERS
from policies.registry import Registry

_SPARE_S = 90.0
_TURN_S = 1.0
_WHO = {
    "rule": "the rule, which nobody watches",
    "rule_watched": "the rule, which tells user space of every decision",
    "cubic": "eBPF that only calls the kernel's CUBIC",
    "bbr": "eBPF that only calls the kernel's BBR",
}
_SENDS = {
    "rule": "the rule",
    "cubic": "the kernel's CUBIC, not paced",
    "cubic_paced": "the kernel's CUBIC, paced",
    "bbr": "the kernel's BBR",
}


class AckCostConfig(Config):
    """Configuration of `congestion-ack-cost`."""

    mbps: float = Field(default=100.0, ge=1.0, le=400.0, description="Capacity of the link.")
    rtt_ms: float = Field(default=20.0, ge=1.0, le=200.0, description="Its base RTT.")
    start_share: float = Field(
        default=0.9, gt=0.0, le=1.0, description="Where the rule starts, of the capacity."
    )
    rounds: int = Field(default=3, ge=1, le=1000, description="Turns of each over the link.")
    bulk_mbps: float = Field(
        default=500.0, ge=1.0, le=10_000.0, description="Rate over the path without a link."
    )
    bulk_rounds: int = Field(default=2, ge=1, le=1000, description="Turns of each over that.")
    settle_s: float = Field(
        default=1.0, ge=0.1, le=60.0, description="Start of a turn, not counted."
    )
    watch_s: float = Field(default=1.5, ge=0.1, le=600.0, description="What is counted of a turn.")


@register("congestion-ack-cost")
class CongestionAckCost:
    """Times the datapath in the kernel."""

    Config: ClassVar[type[AckCostConfig]] = AckCostConfig
    policies: ClassVar[Registry[Any]] = CONTROLLERS
    needs: ClassVar[tuple[str, ...]] = ("root", "netns", "mininet", "iperf3", "bpf", "struct_ops")
    exclusive: ClassVar[bool] = True
    metrics: ClassVar[Mapping[str, str]] = {
        **{
            f"{name}_ack_ns": f"ns in callbacks per ACK of {who}, the statistics' own time taken"
            " off; median over rounds; lower is better"
            for name, who in _WHO.items()
        },
        **{
            f"{name}_ack_raw_ns": f"ns; the same of {who}, nothing taken off"
            for name, who in _WHO.items()
        },
        "statistics_ns": "ns per run that the statistics count too much: a reading of the clock",
        "empty_ns": "ns per run of a callback that does nothing, that taken off",
        "ack_ratio": "1; rule_ack_ns / cubic_ack_ns, median of rounds; lower is better",
        "ack_ratio_low": "1; the least of the rounds",
        "ack_ratio_high": "1; the greatest of them",
        "ack_ratio_raw": "1; the ratio with nothing taken off",
        "ack_ratio_watched": "1; rule_watched_ack_ns / cubic_ack_ns",
        "ack_ratio_to_bbr": "1; rule_ack_ns / bbr_ack_ns",
        "acks_per_decision": "ACKs per decision of the rule",
        **{
            f"{name}_cpu_s_per_gb": "CPU seconds of the whole machine per 10^9 bytes of payload,"
            f" of {who}; lower is better"
            for name, who in _SENDS.items()
        },
        "cpu_ratio": "1; of the rule to CUBIC that is not paced; lower is better",
        "cpu_ratio_to_paced": "1; to CUBIC that is paced",
        "cpu_ratio_to_bbr": "1; to BBR",
        "rest_cores": "cores that were busy without a flow; what is far from 0 spoils the CPU",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is: nothing depends on the machine."""
        return config

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return what the datapath needs and this machine lacks."""
        return missing_for([str(config["policy"])])

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Time the rule and the others in turn.

        Raises:
            EmulationError: this machine cannot, or a flow failed.
            ValueError: the policy is no rule, or too little was seen.
        """
        from emu.cost import summary
        from emu.world import run_private
        from policies.congestion.symbolic import Symbolic

        policy = str(config["policy"])
        if not issubclass(CONTROLLERS.get(policy), Symbolic):
            raise ValueError(
                f"policies: {policy!r} is no symbolic rule; only rules run in the kernel"
            )
        wanted = AckCostConfig.model_validate({k: config[k] for k in AckCostConfig.model_fields})
        shared = {"policy": policy, "settle_s": wanted.settle_s, "watch_s": wanted.watch_s}
        start = {"start_bps": 1e6 * wanted.mbps * wanted.start_share}
        link = {"mbps": wanted.mbps, "rtt_ms": wanted.rtt_ms, "rounds": wanted.rounds}
        turn_s = wanted.settle_s + wanted.watch_s + _TURN_S
        timed = run_private(
            "emu.cost.per_ack:inside",
            {**shared, **link, "parameters": start},
            timeout_s=_SPARE_S + 6 * wanted.rounds * turn_s,
        )
        bulk = run_private(
            "emu.cost.bulk:inside",
            {**shared, "mbps": wanted.bulk_mbps, "rounds": wanted.bulk_rounds, "parameters": {}},
            timeout_s=_SPARE_S + 5 * wanted.bulk_rounds * turn_s,
        )
        return Outcome(
            metrics={
                **summary.per_ack(timed["turns"]),
                **summary.per_gigabyte(bulk["turns"], bulk["rest_cores"]),
            },
            tables={"callbacks": callbacks(timed["turns"])},
            notes=[timed["shaper"]],
        )


def callbacks(turns: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return one row per turn and callback: how often it ran, and how long."""
    rows = [
        (turn["round"], turn["entrant"], turn["acks"], name, *ran)
        for turn in turns
        for name, ran in turn["programs"].items()
    ]
    names = ("round", "entrant", "acks", "callback", "ns", "runs")
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}
