"""A constant sending rate, whatever the network does: the yardstick of what control is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from policies.congestion.base import CWND, PACING_BPS, START_RATE_BPS, Controller, register
from policies.congestion.hooks import hook

RATE_BPS = 0


@hook
def init(state: Any, flow: Any, constants: Any) -> None:
    """Send at the parameter's rate; where it is 0, at the scenario's start rate."""
    state[CWND] = float("inf")
    state[PACING_BPS] = constants[RATE_BPS] if constants[RATE_BPS] > 0.0 else flow[START_RATE_BPS]


@register("fixed")
class Fixed(Controller):
    """Paces at `rate_bps` (0: the flow's start rate), without a window."""

    parameters: ClassVar[Mapping[str, float]] = {"rate_bps": 0.0}
    init = init
