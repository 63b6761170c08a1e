"""The oracle: knows the bottleneck and sends at its rate; an upper bound, not a scheme."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from policies.congestion.base import (
    BOTTLENECK_BPS,
    CWND,
    PACING_BPS,
    PACKET_BYTES,
    Controller,
    register,
)
from policies.congestion.hooks import hook

SHARE = 0


@hook
def init(state: Any, flow: Any, constants: Any) -> None:
    """Pace at the flow's share of the bottleneck from the first packet on, without a window."""
    state[CWND] = float("inf")
    # Links take whole nanoseconds for a packet, rounded up: so must the gap, or a queue builds up.
    work = 8e9 * flow[PACKET_BYTES]
    state[PACING_BPS] = work / math.ceil(work / (constants[SHARE] * flow[BOTTLENECK_BPS]))


@register("oracle")
class Oracle(Controller):
    """Sends at `share` of the bottleneck's capacity. It cannot exist outside a simulation.

    It is told what no sender can know, and reacts to nothing: neither to losses nor to flows beside
    it, nor to a capacity that changes. Alone on a link of constant capacity it fills the link and
    leaves the queue empty, which is what others are measured against.

    Parameters:
        share: of the capacity, > 0; of n oracles on a link each takes 1 / n.
    """

    oracle = True
    parameters: ClassVar[Mapping[str, float]] = {"share": 1.0}
    init = init

    @classmethod
    def constants(cls, parameters: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the share.

        Raises:
            ValueError: a parameter that is unknown or not finite, or a share that is not positive.
        """
        given = super().constants(parameters)
        if given[SHARE] <= 0.0:
            raise ValueError(f"oracle needs share > 0, got {given[SHARE]}")
        return given
