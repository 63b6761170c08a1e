"""A run kind with the metrics and the series of request orders, out of plain arithmetic."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from experiments.kinds.base import Config, Outcome, register
from sim.streams import stream

GAIN = {
    "blendserve": 1.21,
    "prefix_dfs": 1.0,
    "longest_first": 1.05,
    "shuffled": 0.9,
    "arrival": 0.86,
}
KEPT = {
    "blendserve": 0.975,
    "prefix_dfs": 1.0,
    "longest_first": 0.3,
    "shuffled": 0.25,
    "arrival": 0.6,
}


class Workload(Config):
    """What is to be served."""

    density: float = 1.4
    sharing: float = 0.35


class Overlap(Config):
    """How much of compute and memory time overlap."""

    kind: str = "partial"
    h: float | None = None


class OrdersConfig(Config):
    """What the arithmetic starts from."""

    workload: Workload = Workload()
    overlap: Overlap = Overlap(h=0.5)
    label: str = ""


@register("synthetic-orders")
class SyntheticOrders:
    """Gives numbers that look like the real ones."""

    Config = OrdersConfig
    policies = None
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[dict[str, str]] = {
        "throughput_tokens_s": "tokens/s; higher is better",
        "makespan_s": "s; lower is better",
        "prefix_hit_ratio": "share; higher is better",
        "share_of_practical_optimum": "share; higher is better",
        "sharing_kept": "share; higher is better",
        "max_sharing": "share; a fact of the pool",
        "density": "1; neither is better",
        "valid": "yes or no",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        return config

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        density, sharing = config["workload"]["density"], config["workload"]["sharing"]
        rng = stream(config["seed"], str(density), "noise")
        policy, hidden = (
            config["policy"],
            {"sum": 0.0, "max": 1.0}.get(config["overlap"]["kind"], 0.5),
        )
        gain = 1 + (GAIN.get(policy, 1.1) - 1) * hidden + rng.normal(0, 0.004)
        speed = 8400 * gain * (1 + 0.3 * hidden) * density
        makespan = 3.6e7 / speed
        kept = KEPT.get(policy, 0.5)
        noise = stream(config["seed"], policy, "series").normal(0, 0.03, 160)
        phase = np.linspace(0, 1, 160)
        flat = policy == "blendserve"
        compute = (0.8 if flat else 0.95 - 0.7 * (phase > 0.7)) + noise
        memory = (0.7 if flat else 0.25 + 0.65 * (phase > 0.7)) - noise
        lasting = np.full(160, makespan / 160)
        return Outcome(
            {
                "throughput_tokens_s": speed,
                "makespan_s": makespan,
                "prefix_hit_ratio": sharing * kept,
                "share_of_practical_optimum": 0.87 * gain / 1.21,
                "sharing_kept": kept,
                "max_sharing": sharing,
                "density": density,
                "valid": True,
            },
            {"use_over_time": {
                "end_s": np.cumsum(lasting).tolist(),
                "compute_share": compute.tolist(),
                "memory_share": memory.tolist(),
            }},
            notes=["trace absent: a generated stand-in was used"],
        )  # fmt: skip
