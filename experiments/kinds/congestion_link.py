"""Run kind `congestion-link`: flows of one controller over one bottleneck, with or without others.

Metrics are taken over all flows after `warmup_s`, unless they say otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from experiments.kinds.base import Outcome, register
from experiments.kinds.congestion_config import CongestionConfig
from policies.congestion.base import CONTROLLERS
from policies.registry import Registry


@register("congestion-link")
class CongestionLink:
    """Compares congestion controllers on equal links with equal luck."""

    Config: ClassVar[type[CongestionConfig]] = CongestionConfig
    policies: ClassVar[Registry[Any]] = CONTROLLERS
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        "utilisation": "1; payload bits that reach the receivers / (capacity x time); its ceiling"
        " is the payload's share of a packet, 0.956; higher is better",
        "policy_utilisation": "1; the same, of the policy's flows alone",
        "goodput_mbps": "Mbit/s; payload delivered; higher is better",
        "queue_delay_ms": "ms; queueing delay, mean over delivered packets; lower is better",
        "queue_delay_p95_ms": "ms; its 95th percentile, to 3 %; lower is better",
        "mean_rtt_ms": "ms; mean over ACKs; lower is better",
        "loss": "1; packets dropped / sent, random loss included; lower is better",
        "queue_loss": "1; packets dropped by the queue / sent; lower is better",
        "timeouts": "retransmission time-outs; lower is better",
        "jain": "1; Jain's index over 1 s goodputs once all flows run, mean; higher is better;"
        " null with one flow",
        "convergence_s": "s; from the start of the policy's last flow until it stays within 10 %"
        " of its final mean (last quarter) for 2 s; lower is better; null if it never does",
        "least_share": "1; goodput of the policy's worst flow / fair share of the link's payload;"
        " higher is better",
        "competitor_share": "1; competitors' mean goodput / fair share of the link's payload; 1 is"
        " friendly; null without competitors",
        "rise_s": "s; after the first step up in capacity until goodput reaches 95 % of the"
        " payload's share of it, at most until the next step; lower is better; null without steps",
        "sent_packets": "packets sent",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is: nothing depends on the machine."""
        return config

    @staticmethod
    def other_policies(config: dict[str, Any]) -> list[str]:
        """Return the competitors, whose code the run depends on too."""
        return sorted({other["policy"] for other in config["competitors"]})

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Simulate and measure.

        Raises:
            ScenarioError: a field, or a controller's parameter, is out of range.
            PolicyError: a controller raised, or left a window or rate that is none.
        """
        from experiments.kinds import congestion_measures as measures
        from experiments.kinds.congestion_scenario import scenario_of
        from sim.net.engine import simulate

        fields = {k: v for k, v in config.items() if k not in ("policy", "seed")}
        wanted = CongestionConfig.model_validate(fields)
        scenario = scenario_of(wanted, config["policy"], int(config["seed"]))
        started = time.perf_counter()
        result = simulate(scenario)
        elapsed = time.perf_counter() - started
        metrics = measures.metrics(wanted, result)
        packets = int(result.links[0, 0])
        return Outcome(
            metrics=metrics,
            tables={"over_time": measures.over_time(wanted, result)},
            notes=measures.notes(wanted, result),
            measured={"simulate_s": elapsed, "packets_per_s": packets / max(elapsed, 1e-9)},
        )
