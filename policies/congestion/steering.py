"""A sender steered by actions in [-1, 1], one per monitor interval, as in `triptych/Pcc-v1`.

What `sim.net.envs.pcc_kernel` does with a policy's actions, a controller does here with its own:

- An interval lasts `interval_rtts` mean RTTs of the one before, and until `interval_packets`
  packets were sent in it. After one without an ACK the next is planned to last as long.
- `warmup_intervals` intervals pass at the first rate. They fill the memory that features rest on,
  and are no part of the history. Then the first action is on a history in which nothing happened.
- An action a multiplies the rate by (1 + delta) ** a, within `min_bps` and `max_bps`.

The environment knows its link. A sender does not, so two things differ unless it is told. How long
the first interval lasts: the environment's is 1.5 round trips; here it is `first_interval_ns`, and
where that is 0, intervals of 10 ms (and `interval_packets`) follow each other until one brings an
ACK, and count as one. And the environment's bound on the rate by the link's capacity has no
equal here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numba import njit

from policies.congestion.base import (
    CWND,
    INTERVAL_NS,
    OWN,
    PACING_BPS,
    SENT,
    Controller,
)
from policies.congestion.interval_features import account
from policies.congestion.monitor import (
    ASSUMED_RTT_NS,
    LEAST_INTERVAL_NS,
    MOST_BPS,
    WAIT_NS,
    clamp,
    packet_bits,
    plan,
    start_rate,
    window_rate,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULTS: dict[str, float] = {
    "start_bps": 0.0,
    "first_interval_ns": 0.0,
    "delta": 0.05,
    "min_bps": 1e4,
    "max_bps": 1e10,
    "interval_rtts": 0.5,
    "interval_packets": 10.0,
    "warmup_intervals": 2.0,
}
(
    START_BPS,  # 0: the flow's start rate, else an initial window per 100 ms
    FIRST_INTERVAL_NS,  # 0: not known, see above
    DELTA,
    MIN_BPS,
    MAX_BPS,
    INTERVAL_RTTS,
    LEAST_PACKETS,
    WARMUP_INTERVALS,
) = range(len(DEFAULTS))
BY_SENT = len(DEFAULTS)
"""After the parameters: 1 where intervals count the packets sent in them, else 0."""
CONSTANTS = BY_SENT + 1
"""First constant that is a controller's own."""

COLUMNS = (
    "packet_bits",
    "mean_rtt_ns",
    "received_bps",
    "most_received_bps",
    "sending_bps",
    "warmup_left",
    "action",
)
PACKET_BITS, MEAN_RTT, RECEIVED, MOST_RECEIVED, SENDING, WARMUP_LEFT, ACTION = range(
    OWN, OWN + len(COLUMNS)
)
AFTER = OWN + len(COLUMNS)
"""First column of the state that is a controller's own."""


@njit(cache=True)
def step_rate(rate: float, action: float, delta: float) -> float:
    """Return the rate after an action: rate (1 + delta) ** action."""
    return rate * np.exp(action * np.log1p(delta))


@njit(cache=True)
def begin(state: Any, flow: Any, constants: Any) -> None:
    """Set window, rate, the first interval, and an empty memory."""
    state[CWND] = np.inf
    state[PACKET_BITS] = packet_bits(flow)
    state[WARMUP_LEFT] = constants[WARMUP_INTERVALS]
    rate = start_rate(flow, constants[START_BPS], window_rate(flow, ASSUMED_RTT_NS))
    first = constants[FIRST_INTERVAL_NS]
    rate = clamp(rate, constants[MIN_BPS], constants[MAX_BPS])
    plan(state, rate, first if first > 0.0 else WAIT_NS, constants[LEAST_PACKETS])


@njit(cache=True)
def take_in(state: Any, interval: Any, constants: Any) -> bool:
    """Take an interval into the memory and plan the next one; whether it belongs to the history.

    While WARMUP_LEFT remains above 0 afterwards, no action is due.
    """
    mean_rtt, received, most_received, sending = account(
        interval,
        state[MEAN_RTT],
        state[RECEIVED],
        state[MOST_RECEIVED],
        state[PACKET_BITS],
        constants[BY_SENT] > 0.0,
    )
    state[MEAN_RTT], state[RECEIVED] = mean_rtt, received
    state[MOST_RECEIVED], state[SENDING] = most_received, sending
    if mean_rtt > 0.0:
        state[INTERVAL_NS] = max(LEAST_INTERVAL_NS, constants[INTERVAL_RTTS] * mean_rtt)
    if state[WARMUP_LEFT] <= 0.0:
        return True
    if constants[FIRST_INTERVAL_NS] > 0.0 or mean_rtt > 0.0:
        state[WARMUP_LEFT] -= 1.0
    return False


@njit(cache=True)
def act(state: Any, action: float, constants: Any) -> None:
    """Change the rate by an action, brought into [-1, 1] (NaN: -1)."""
    state[ACTION] = clamp(action, -1.0, 1.0)
    rate = step_rate(state[PACING_BPS], state[ACTION], constants[DELTA])
    state[PACING_BPS] = clamp(rate, constants[MIN_BPS], constants[MAX_BPS])


class Steered(Controller):
    """Base of controllers whose decision is an action: parameters, and what is demanded of them.

    Parameters: `start_bps`, bits/s (0: the flow's start rate, else an initial window per 100 ms);
    `first_interval_ns` (0: not known); `delta`, size of an action; `min_bps`, `max_bps`;
    `interval_rtts`, `interval_packets`, `warmup_intervals`. See the module.
    """

    parameters: ClassVar[Mapping[str, float]] = DEFAULTS

    @classmethod
    def constants(cls, parameters: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the parameters, and whether intervals count by sending; subclasses append.

        Raises:
            ValueError: a parameter is unknown, not finite or out of range; the message names it.
        """
        own = super().constants(parameters)
        ranges = {
            "start_bps": (0.0, MOST_BPS),
            "first_interval_ns": (0.0, 1e15),
            "delta": (1e-6, 1.0),
            "min_bps": (1e3, MOST_BPS),
            "max_bps": (own[MIN_BPS], MOST_BPS),
            "interval_rtts": (1e-3, 1e3),
            "interval_packets": (0.0, 1e6),
            "warmup_intervals": (0.0, 1e4),
        }
        for value, (name, (low, high)) in zip(own, ranges.items(), strict=True):
            if not low <= value <= high:
                raise ValueError(
                    f"controller {cls.name!r}: {name} must be in {low:g} to {high:g}, got {value:g}"
                )
        for index, name in (
            (LEAST_PACKETS, "interval_packets"),
            (WARMUP_INTERVALS, "warmup_intervals"),
        ):
            if own[index] != np.floor(own[index]):
                raise ValueError(f"controller {cls.name!r}: {name} must be whole, got {own[index]}")
        return np.append(own, float(cls.attribution == SENT))

    @classmethod
    def constants_for(
        cls, parameters: Mapping[str, float], attribution: str
    ) -> NDArray[np.float64]:
        """Return the constants for a flow that counts as `attribution` says, whatever the class.

        Raises:
            ValueError: as `constants`.
        """
        own = cls.constants(parameters)
        own[BY_SENT] = float(attribution == SENT)
        return own
