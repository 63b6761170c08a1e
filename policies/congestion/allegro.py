"""PCC Allegro: trials of slightly different rates, and the rate moves to where utility was greater.

Dong, Li, Zarchy, Godfrey, Schapira, "PCC: Re-architecting Congestion Control for Consistent High
Performance", NSDI 2015, sections 2 and 3. Utility of an interval, in 1e6 bits/s:

    T S_loss S_rtt - lost,  S_loss = 1 - 1 / (1 + exp(-1000 (loss - 0.05))),
                            S_rtt = 1 - 1 / (1 + exp(-200 (1 - RTT before / RTT after)))

with T and lost the acknowledged and lost packets over the time of sending; this form and its
constants are those of the authors' later release (PCC-Uspace, `src/pcc/pcc_utility_manager.cpp`).
RTT ratios within 1 +- a tolerance count as 1, which makes S_rtt 1/2: 0.3 while starting, else 0.05.

Starting doubles the rate every interval until utility falls, and returns to the rate before.
Probing tries (1 + e, 1 - e) twice, each pair in random order. If both pairs agree the rate moves
to that side and goes on, by 1, 2, 3, ... percent, until utility falls; then it steps back and
probes again. If they disagree it probes with e larger by 0.01, at most 0.05. An interval lasts a
random 1.7 to 2.2 RTTs and at least 10 packets.

Deviations:
- Tolerances: one release has 0.3 starting, 0 probing and 0.05 moving, a later one 100, 1 and 1,
  which leaves S_rtt without effect (so do `start_rtt_tolerance` 100 and `rtt_tolerance` 1). Here
  probing has that of moving, since with 0 noise of 1 % outweighs a difference of 1 % in rate.
- The paper starts at two packets per RTT, which is not known at the start: until the first ACK two
  packets per 100 ms, in intervals of 10 ms. A start rate of the scenario replaces both.
- Results arrive a round trip after an interval. Meanwhile the paper goes on in whole intervals and
  cuts one short when the rate changes; here intervals of a quarter RTT follow, of which no use is
  made, so that the next trial begins soon.
- "RTT before" is the smoothed RTT when the interval before it was accounted for, at the ACK just
  before the interval's first; theirs at that first ACK.
- The first step after probing is compared with the mean utility of the trials that won.
- A least rate, `least_bps`; the paper has none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from numba import njit

from policies.congestion import trials
from policies.congestion.base import (
    I_ACKED,
    I_LOST,
    I_PACING_BPS,
    I_SRTT_NS,
    SENT,
    STATE,
    Controller,
    register,
)
from policies.congestion.hooks import draw, hook
from policies.congestion.monitor import (
    ASSUMED_RTT_NS,
    clamp,
    loss_share,
    mbps,
    packet_bits,
    plan,
    prefers_more,
    send_time_ns,
)
from policies.congestion.trials import (
    BEGUN,
    BITS,
    DIRECTION,
    HEARD,
    MODE,
    MOVING,
    PROBING,
    RATE,
    SCALED,
    STARTING,
    UTILITY,
    UTILITY_BPS,
    begin,
    begin_trial,
    is_waiting,
    new_round,
    probe_rate,
    set_rate,
    trial_of,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRIALS = 4
COLUMNS = (
    "epsilon",
    "step",
    "srtt_before_ns",
    *(f"utility_{i}" for i in range(TRIALS)),
    *(f"rate_{i}" for i in range(TRIALS)),
)
EPSILON = trials.AFTER
STEP = EPSILON + 1  # of moving: 1, 2, ...
SRTT_BEFORE = STEP + 1
UTILITIES = SRTT_BEFORE + 1
RATES = UTILITIES + TRIALS
ALWAYS = 1e18  # trials of a round that never waits

(
    LOSS_LIMIT,
    LOSS_SLOPE,
    RTT_SLOPE,
    RTT_TOLERANCE,
    START_RTT_TOLERANCE,
    LEAST_BPS,
    START_BPS,
) = range(7)
LEAST_EPSILON = 0.01
MOST_EPSILON = 0.05
INTERVAL_RTTS = (1.7, 2.2)
INTERVAL_LEAST_PACKETS = 10.0
START_PACKETS = 2.0


@njit(cache=True)
def falling(slope: float, excess: float) -> float:
    """Return 1 - 1 / (1 + exp(-slope * excess)): 1 far below 0, 0 far above."""
    return 1.0 - 1.0 / (1.0 + math.exp(clamp(-slope * excess, -700.0, 700.0)))


@njit(cache=True)
def utility(
    interval: Any, srtt_before_ns: float, bits: float, tolerance: float, constants: Any
) -> float:
    """Return the utility of an interval, 1e6 bits/s; `srtt_before_ns` 0 or NaN: not known."""
    duration = send_time_ns(interval, bits)
    ratio = 1.0
    if srtt_before_ns > 0.0 and interval[I_SRTT_NS] > 0.0:
        ratio = srtt_before_ns / interval[I_SRTT_NS]
    if abs(ratio - 1.0) < tolerance:
        ratio = 1.0
    calm = falling(constants[RTT_SLOPE], 1.0 - ratio)
    light = falling(constants[LOSS_SLOPE], loss_share(interval) - constants[LOSS_LIMIT])
    delivered = mbps(interval[I_ACKED], bits, duration)
    return delivered * light * calm - mbps(interval[I_LOST], bits, duration)


@njit(cache=True)
def heard_starting(state: Any, value: float, paced: float, constants: Any) -> None:
    """Take a result of the starting phase: go on, or return to the best rate so far."""
    if value > state[UTILITY]:
        state[UTILITY] = value
        state[UTILITY_BPS] = paced
        return
    best = state[UTILITY_BPS] if state[UTILITY_BPS] > 0.0 else 0.5 * paced
    set_rate(state, best, constants[LEAST_BPS])
    new_round(state, PROBING)


@njit(cache=True)
def heard_probing(state: Any, constants: Any) -> None:
    """Decide after both pairs."""
    wins, best = 0, 0.0
    for pair in range(0, TRIALS, 2):
        a, b = UTILITIES + pair, RATES + pair
        wins += 1 if prefers_more(state[a], state[b], state[a + 1], state[b + 1]) else 0
        best += max(state[a], state[a + 1])
    if wins == 1:
        state[EPSILON] = min(state[EPSILON] + LEAST_EPSILON, MOST_EPSILON)
        new_round(state, PROBING)
        return
    state[DIRECTION] = 1.0 if wins == 2 else -1.0
    set_rate(state, state[RATE] * (1.0 + state[DIRECTION] * state[EPSILON]), constants[LEAST_BPS])
    state[UTILITY] = best / (TRIALS // 2)
    state[UTILITY_BPS] = state[RATE]
    state[EPSILON] = LEAST_EPSILON
    state[STEP] = 0.0
    move(state, constants)


@njit(cache=True)
def move(state: Any, constants: Any) -> None:
    """Take the next, larger step in the direction of the decision."""
    state[STEP] += 1.0
    change = max(-0.5, state[DIRECTION] * state[STEP] * LEAST_EPSILON)
    set_rate(state, state[RATE] * (1.0 + change), constants[LEAST_BPS])
    new_round(state, MOVING)


@njit(cache=True)
def heard_moving(state: Any, value: float, paced: float, constants: Any) -> None:
    """Go on while utility rises; else return to the last rate and probe."""
    if value > state[UTILITY] and paced != state[UTILITY_BPS]:
        state[UTILITY] = value
        state[UTILITY_BPS] = paced
        move(state, constants)
    else:
        set_rate(state, state[UTILITY_BPS], constants[LEAST_BPS])
        new_round(state, PROBING)


@hook
def init(state: Any, flow: Any, constants: Any) -> None:
    """Begin at the parameter's rate, the flow's, or two packets per 100 ms."""
    fallback = START_PACKETS * packet_bits(flow) * 1e9 / ASSUMED_RTT_NS
    begin(state, flow, constants[START_BPS], fallback)
    state[EPSILON] = LEAST_EPSILON


@hook
def on_interval_start(state: Any, interval: Any, constants: Any) -> None:
    """Give the interval its part: a trial, or waiting for results."""
    probing = state[MODE] == PROBING
    starting = state[MODE] == STARTING
    if is_waiting(state, interval, ALWAYS if starting else TRIALS if probing else 1.0):
        return
    rtt = interval[I_SRTT_NS]
    if state[SCALED] == 0.0:
        state[SCALED] = 1.0
        set_rate(state, START_PACKETS * state[BITS] * 1e9 / rtt, constants[LEAST_BPS])
    elif starting and state[BEGUN] > 0.0:
        set_rate(state, 2.0 * state[RATE], constants[LEAST_BPS])
    rate = probe_rate(state, state[EPSILON]) if probing else state[RATE]
    begin_trial(state, interval)
    low, high = INTERVAL_RTTS
    plan(state, rate, rtt * (low + (high - low) * draw(state)), INTERVAL_LEAST_PACKETS)


@hook
def on_interval(state: Any, interval: Any, constants: Any) -> None:
    """Take the result of a trial; other intervals only tell the RTT before the next."""
    before = state[SRTT_BEFORE]
    state[SRTT_BEFORE] = interval[I_SRTT_NS] if interval[I_SRTT_NS] > 0.0 else 0.0
    trial = trial_of(state, interval)
    if trial < 0:
        return
    which = START_RTT_TOLERANCE if state[MODE] == STARTING else RTT_TOLERANCE
    value = utility(interval, before, state[BITS], constants[which], constants)
    paced = interval[I_PACING_BPS]
    if state[MODE] == STARTING:
        heard_starting(state, value, paced, constants)
    elif state[MODE] == MOVING:
        heard_moving(state, value, paced, constants)
    else:
        state[UTILITIES + trial] = value
        state[RATES + trial] = paced
        if state[HEARD] >= TRIALS:
            heard_probing(state, constants)


@register("allegro")
class Allegro(Controller):
    """PCC Allegro.

    Parameters: `loss_limit`, share of lost packets at which utility collapses; `loss_slope`,
    `rtt_slope`, slopes of the two sigmoids; `rtt_tolerance`, `start_rtt_tolerance`, relative
    change of RTT without effect; `least_bps`, bits/s; `start_bps`, bits/s (0: the flow's start
    rate, else two packets per RTT).
    """

    state: ClassVar[tuple[str, ...]] = STATE + trials.COLUMNS + COLUMNS
    parameters: ClassVar[Mapping[str, float]] = {
        "loss_limit": 0.05,
        "loss_slope": 1000.0,
        "rtt_slope": 200.0,
        "rtt_tolerance": 0.05,
        "start_rtt_tolerance": 0.3,
        "least_bps": 100_000.0,
        "start_bps": 0.0,
    }
    attribution: ClassVar[str] = SENT
    init = init
    on_interval = on_interval
    on_interval_start = on_interval_start

    @classmethod
    def constants(cls, parameters: Mapping[str, float]) -> NDArray[np.float64]:
        """Return float64[7]: the parameters.

        Raises:
            ValueError: a parameter is unknown, not finite, or negative, or `least_bps` below 1.
        """
        own = super().constants(parameters)
        if (own < 0.0).any() or own[LEAST_BPS] < 1.0:
            raise ValueError(f"controller {cls.name!r}: parameters out of range: {own.tolist()}")
        return own
