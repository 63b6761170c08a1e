"""Half a packet more per round trip, half the window at a loss."""

from collections.abc import Mapping
from typing import Any, ClassVar

from policies.congestion.base import (
    A_ACKED,
    CWND,
    INITIAL_WINDOW,
    L_NEW_EPISODE,
    PACING_BPS,
    Controller,
    register,
)
from policies.congestion.hooks import hook

GAIN = 0


@hook
def init(state: Any, flow: Any, constants: Any) -> None:
    """Begin with the initial window, unpaced."""
    state[CWND] = flow[INITIAL_WINDOW]
    state[PACING_BPS] = float("inf")


@hook
def on_ack(state: Any, ack: Any, constants: Any) -> None:
    """Grow by `gain` packets per round trip."""
    state[CWND] += constants[GAIN] * ack[A_ACKED] / state[CWND]


@hook
def on_loss(state: Any, loss: Any, constants: Any) -> None:
    """Halve the window, once per episode."""
    if loss[L_NEW_EPISODE] > 0.0:
        state[CWND] = max(1.0, 0.5 * state[CWND])


@register("half")
class Half(Controller):
    """Additive increase by `gain` packets per round trip, multiplicative decrease by half."""

    parameters: ClassVar[Mapping[str, float]] = {"gain": 0.5}
    init = init
    on_ack = on_ack
    on_loss = on_loss
