"""Run kind `congestion-emulated`: flows of one controller over one bottleneck, with real packets.

Metrics are those of `congestion-link`, by the same code, from the account that the emulated link
keeps of its packets. CUBIC, BBR and Reno are the kernel's own; symbolic rules run in the kernel;
other controllers that act once per monitor interval are asked by an agent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import model_validator

from experiments.kinds.base import Outcome, register
from experiments.kinds.congestion_config import CongestionConfig, DropTailQueue
from experiments.kinds.congestion_link import CongestionLink
from policies.congestion.base import CONTROLLERS
from policies.registry import Registry

KERNEL = ("cubic", "bbr", "reno")
FIXED: dict[str, tuple[Any, str]] = {
    "jitter_ms": (0.0, "the relay has no jitter"),
    "packet_bytes": (1514, "the packets are Ethernet frames"),
    "header_bytes": (66, "the packets are Ethernet frames with TCP time stamps"),
    "ack_every": (1, "the kernel decides when it acknowledges"),
    "min_rto_ms": (200.0, "the kernel's least time-out is fixed"),
}


class EmulatedConfig(CongestionConfig):
    """Configuration of `congestion-emulated`: that of `congestion-link`, where it can be had."""

    @model_validator(mode="after")
    def _can_be_had(self) -> EmulatedConfig:
        for name, (value, why) in FIXED.items():
            if getattr(self, name) != value:
                raise ValueError(f"{name}: must be {value}, for {why}")
        if not isinstance(self.queue, DropTailQueue):
            raise ValueError(f"queue: must be drop_tail, the relay has no {self.queue.kind}")
        for name in self.parameters:
            if name in KERNEL:
                raise ValueError(f"parameters: {name} is the kernel's own, it takes none")
        return self


def missing_for(policies: list[str]) -> tuple[str, ...]:
    """Return what the controllers need of this machine and do not find, a line each."""
    from emu.datapath import machine
    from emu.datapath.problems import DatapathError

    if not any(name not in KERNEL for name in policies):
        return ()
    try:
        machine.check_build()
    except DatapathError as error:
        return (f"the kernel's datapath ({error})",)
    return ()


@register("congestion-emulated")
class CongestionEmulated:
    """Compares congestion controllers on emulated links."""

    Config: ClassVar[type[EmulatedConfig]] = EmulatedConfig
    policies: ClassVar[Registry[Any]] = CONTROLLERS
    needs: ClassVar[tuple[str, ...]] = ("root", "netns", "mininet", "iperf3")
    exclusive: ClassVar[bool] = True
    recorded_series: ClassVar[tuple[str, ...]] = ("over_time",)
    metrics: ClassVar[Mapping[str, str]] = {
        **CongestionLink.metrics,
        "sender_rtt_ms": "ms; the kernel's smoothed RTT, mean over samples; null without a sample",
        "retransmits": "segments sent again, whole run; null if a sender did not say",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is: nothing depends on the machine."""
        return config

    @staticmethod
    def other_policies(config: dict[str, Any]) -> list[str]:
        """Return the competitors, whose code the run depends on too."""
        return CongestionLink.other_policies(config)

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return what the controllers of a run need and this machine lacks."""
        others = CongestionLink.other_policies(config)
        return missing_for([str(config["policy"]), *others])

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Emulate and measure.

        Raises:
            EmulationError: this machine cannot, or the link was not the one asked for.
            ScenarioError: a field, or a controller's parameter, is out of range.
            ValueError: a flow sent nothing.
        """
        from experiments.kinds import congestion_measures as measures
        from experiments.kinds.congestion_cell import emulate

        fields = {k: v for k, v in config.items() if k not in ("policy", "seed")}
        wanted = EmulatedConfig.model_validate(fields)
        ran = emulate(wanted, config["policy"], int(config["seed"]))
        own = {"sender_rtt_ms": ran.sender_rtt_ms, "retransmits": ran.retransmits}
        return Outcome(
            metrics={**measures.metrics(wanted, ran.result), **own},
            tables={"over_time": measures.over_time(wanted, ran.result), "sockets": ran.sockets},
            notes=[*measures.notes(wanted, ran.result), *ran.notes],
            measured=ran.measured,
        )
