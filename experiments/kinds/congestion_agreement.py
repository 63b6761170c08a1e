"""Run kind `congestion-agreement`: the same cell simulated and with real packets, side by side.

The simulator is given what the kernel is known to do (`acknowledged_together`,
KNOWN) and nothing that was measured; random losses draw the same numbers in both.
Delay is the mean round trip, base and queueing together: a share of the queueing delay alone says
nothing where there is next to none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from experiments.kinds.base import Outcome, Scalar, register
from experiments.kinds.congestion_config import CongestionConfig
from experiments.kinds.congestion_emulated import KERNEL, EmulatedConfig, missing_for
from policies.congestion.base import CONTROLLERS
from policies.registry import Registry

NEAR_UTILISATION = 0.05
NEAR_DELAY = 0.15
NEAR_QUEUEING_MS = 1.0
COMPARED = (
    *("utilisation", "mean_rtt_ms", "queue_delay_ms", "queue_delay_p95_ms"),
    *("loss", "convergence_s", "timeouts"),
)
OWN = ("acknowledged_together",)
KNOWN = {"cubic": {"hystart": 1.0, "keeps_alpha": 1.0}}
"""What the simulator is told of the kernel's own: Linux's CUBIC leaves the first slow start early,
and grows beside Reno as RFC 8312 says (bictcp_update), not as RFC 9438."""


class AgreementConfig(EmulatedConfig):
    """Configuration of `congestion-agreement`."""

    acknowledged_together: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Packets per ACK in the simulator, for the kernel's own controllers. Others"
        " begin at low rates, at which the kernel acknowledges every packet; for them it is 1.",
    )


@register("congestion-agreement")
class CongestionAgreement:
    """Holds the packet engine against the emulator, cell by cell."""

    Config: ClassVar[type[AgreementConfig]] = AgreementConfig
    policies: ClassVar[Registry[Any]] = CONTROLLERS
    needs: ClassVar[tuple[str, ...]] = ("root", "netns", "mininet", "iperf3")
    exclusive: ClassVar[bool] = True
    metrics: ClassVar[Mapping[str, str]] = {
        "agrees": f"1 if the utilisations are within {NEAR_UTILISATION} of each other and the mean"
        f" round trips within {100 * NEAR_DELAY:g} %, else 0; higher is better",
        "utilisation_agrees": "1 or 0; the first half of it",
        "delay_agrees": "1 or 0; the second half",
        "queueing_agrees": f"1 or 0; mean queueing delays within {100 * NEAR_DELAY:g} % or"
        f" {NEAR_QUEUEING_MS:g} ms: stricter than the delay where the queue is long",
        "utilisation_gap": "1; emulated less simulated",
        "delay_gap": "1; emulated mean round trip / simulated - 1",
        **{name: "emulated; as in congestion-link" for name in COMPARED},
        **{f"simulated_{name}": "simulated; as in congestion-link" for name in COMPARED},
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is: nothing depends on the machine."""
        return config

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return what the controller of a run needs and this machine lacks."""
        return missing_for([str(config["policy"])])

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Emulate, simulate and compare.

        Raises:
            EmulationError: this machine cannot, or the link was not the one asked for.
            ScenarioError: a field, or a controller's parameter, is out of range.
            ValueError: a flow sent nothing.
        """
        from experiments.kinds import congestion_measures as measures
        from experiments.kinds.congestion_cell import emulate
        from experiments.kinds.congestion_scenario import scenario_of
        from sim.net.engine import simulate

        left_out = ("policy", "seed", *OWN)
        fields = {k: v for k, v in config.items() if k not in left_out}
        policy, seed = config["policy"], int(config["seed"])
        wanted = EmulatedConfig.model_validate(fields)
        ran = emulate(wanted, policy, seed)
        together = config["acknowledged_together"] if policy in KERNEL else 1
        own = {"parameters": fields["parameters"] | KNOWN}
        other = CongestionConfig.model_validate(fields | {"ack_every": together} | own)
        result = simulate(scenario_of(other, policy, seed))
        metrics = compared(measures.metrics(wanted, ran.result), measures.metrics(other, result))
        return Outcome(metrics=metrics, notes=ran.notes, measured=ran.measured)


def compared(emulated: Mapping[str, Any], simulated: Mapping[str, Any]) -> dict[str, Scalar]:
    """Return the metrics of a cell from those of its two halves."""
    gap = emulated["utilisation"] - simulated["utilisation"]
    delays = (emulated["mean_rtt_ms"], simulated["mean_rtt_ms"])
    queueing = (emulated["queue_delay_ms"], simulated["queue_delay_ms"])
    delay_gap = delays[0] / delays[1] - 1.0 if all(delays) else None
    near = abs(gap) <= NEAR_UTILISATION
    delay_near = delay_gap is not None and abs(delay_gap) <= NEAR_DELAY
    return {
        "agrees": int(near and delay_near),
        "utilisation_agrees": int(near),
        "delay_agrees": int(delay_near),
        "queueing_agrees": int(_near_queueing(*queueing)),
        "utilisation_gap": float(gap),
        "delay_gap": delay_gap,
        **{name: emulated[name] for name in COMPARED},
        **{f"simulated_{name}": simulated[name] for name in COMPARED},
    }


def _near_queueing(emulated: float | None, simulated: float | None) -> bool:
    if emulated is None or simulated is None:
        return False
    return abs(emulated - simulated) <= max(NEAR_QUEUEING_MS, NEAR_DELAY * simulated)
