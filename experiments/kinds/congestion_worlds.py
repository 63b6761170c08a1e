"""Named distributions of links of the corrected world.

`training` is what the teacher learnt on. The others leave it in one respect, or are around the
paper's nominal link: 30 Mbit/s, 30 ms of base RTT, a queue of 1000 KB, no random loss. First
rates lie between a twentieth and one and a half of the capacity, as in training.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from experiments.kinds.base import Config

if TYPE_CHECKING:
    from policies.distill.worlds import World

PACKET_BYTES = 1514
NOMINAL: dict[str, Any] = {
    "bandwidth_bps": (30e6, 30e6),
    "delay_s": (0.015, 0.015),
    "loss": (0.0, 0.0),
    "queue_kb": (1000.0, 1000.0),
}
WIDE: dict[str, Any] = {
    "bandwidth_bps": (1e6, 1e8),
    "delay_s": (0.0005, 0.05),
    "loss": (0.0, 0.08),
    "queue_kb": (0.0, 10_000.0),
}
"""The paper's sweeps as ranges: 1 to 100 ms of base RTT; queues from the smallest to 10 MB."""
DISTRIBUTIONS: dict[str, dict[str, Any]] = {
    "training": {},
    "faster": {"bandwidth_bps": (1e8, 1e9)},
    "slower": {"bandwidth_bps": (3e5, 1e6)},
    "bandwidth": NOMINAL | {"bandwidth_bps": WIDE["bandwidth_bps"]},
    "latency": NOMINAL | {"delay_s": WIDE["delay_s"]},
    "loss": NOMINAL | {"loss": WIDE["loss"]},
    "queue": NOMINAL | {"queue_kb": WIDE["queue_kb"]},
    "together": WIDE,
}
"""Name -> what differs from the training's links."""
Distribution = Literal[
    "training", "faster", "slower", "bandwidth", "latency", "loss", "queue", "together"
]


class LinksConfig(Config):
    """Fields of kinds that judge policies of the corrected world. Seeds are other links each."""

    distribution: Distribution = Field(
        default="training",
        description="Where links are drawn: the training's; 100 to 1000 Mbit/s (faster); 0.3 to 1"
        " Mbit/s (slower); around 30 Mbit/s, 30 ms, 1000 KB and no loss, over 1 to 100 Mbit/s"
        " (bandwidth), 1 to 100 ms of RTT (latency), 0 to 8 % of loss (loss), 2 packets to 10 MB"
        " (queue), or all of these (together).",
    )
    links: int = Field(default=200, ge=2, le=100_000, description="One episode on each.")
    steps: int = Field(default=400, ge=1, le=100_000, description="Intervals of an episode.")


def world_of(config: LinksConfig) -> World:
    """Return the corrected world whose links come from the configuration's distribution."""
    from policies.distill.teacher_config import corrected_links
    from policies.distill.worlds import CORRECTED, World

    changes = dict(DISTRIBUTIONS[config.distribution])
    if "queue_kb" in changes:
        changes["queue_log"] = queue_range(*changes.pop("queue_kb"))
    return World(CORRECTED, corrected_links(**changes, steps=config.steps))


def queue_range(low_kb: float, high_kb: float) -> tuple[float, float]:
    """Return the environment's range of queues that hold so many KB of 1000 bytes.

    A queue holds 1 + floor(exp(u)) packets, u within that range and at least 0: two at least.
    """
    low, high = (math.floor(1000.0 * kb / PACKET_BYTES) for kb in (low_kb, high_kb))
    # Half a packet more, so that rounding of exp and log does not lose one.
    return math.log(max(1.0, low - 0.5)), math.log(max(1.5, high - 0.5))


def seeds_of_links(config: LinksConfig, seed: int) -> list[int]:
    """Return the seeds of the test links; every policy meets the same."""
    from policies.distill.worlds import seeds_of

    return seeds_of("test", seed, config.links)
