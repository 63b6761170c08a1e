"""PCC Vivace: gradient ascent on a utility of rate, loss and growth of the round trip.

Dong, Meng, Zarchy, Arslan, Gilad, Godfrey, Schapira, "PCC Vivace: Online-Learning Congestion
Control", NSDI 2018. Numbers and rules where the paper leaves them open: the authors' release
PCC-Uspace, `src/pcc/pcc_vivace_sender.cpp`, `pcc_sender.cpp`. The utility is in `vivace_utility`.

Starting doubles the rate while utility rises; when it does not, the rate is halved and probing
begins: three pairs of intervals at 1.05 and 0.95 of the rate, each pair in random order. The rate
moves up if two or three pairs prefer more, down only if all prefer less, else it probes again.
After a decision the rate is that of the better side, changed by

    gradient x 2^20 bits/s, gradient = 2^20 x difference of utility / difference of rate (bits/s),

and goes on by such changes as long as the gradient keeps its sign, then steps back and probes.
While moving, a change is amplified by floor((rounds + 1) / 2)^1.2. It is at most 5 % of the rate,
and 5 % more for each change in a row that met this boundary (one step less for one that did not),
and at least 500 kbit/s. The least rate is 500 kbit/s; an undecided probe there goes back to
starting.

Deviations:
- An interval lasts a smoothed RTT and at least 5 packets; theirs the least RTT, but not before
  four of its own ACKs arrived, which is as long.
- Results arrive a round trip after an interval. Theirs ends the interval under way when they do;
  here intervals of a quarter RTT, of which no use is made, fill the time.
- Before the first ACK: intervals of 10 ms at an initial window per 100 ms; then, as theirs, at an
  initial window per RTT if that is more. A start rate of the scenario replaces both.
- An interval that lost everything has a utility; theirs would wait for RTT samples for ever.
- The authors' limit of four idle intervals in flight is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from numba import njit

from policies.congestion import trials
from policies.congestion.base import I_PACING_BPS, I_SRTT_NS, SENT, STATE, Controller, register
from policies.congestion.hooks import hook
from policies.congestion.monitor import ASSUMED_RTT_NS, plan, prefers_more, window_rate
from policies.congestion.trials import (
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
from policies.congestion.vivace_utility import TREND, utility

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TRIALS = 6
PAIRS = TRIALS // 2
COLUMNS = (
    "rounds",
    "allowance",
    *(f"utility_{i}" for i in range(TRIALS)),
    *(f"rate_{i}" for i in range(TRIALS)),
)
ROUNDS = trials.AFTER  # changes in this direction, or rounds of probing; counted from 1
ALLOWANCE = ROUNDS + 1  # steps by which the boundary of changes is raised
UTILITIES = ALLOWANCE + 1
RATES = UTILITIES + TRIALS
FIRST_OF_TREND = RATES + TRIALS

RATE_EXPONENT, RTT_COEFFICIENT, LOSS_COEFFICIENT, START_BPS = range(4)
GRADIENT_UNIT = 1048576.0
PROBE = 0.05
AMPLIFY = 1.2
BOUNDARY, BOUNDARY_STEP = 0.05, 0.05
LEAST_CHANGE_BPS = 500_000.0
LEAST_BPS = 500_000.0
INTERVAL_LEAST_PACKETS = 5.0


@njit(cache=True)
def more(state: Any, pair: int) -> bool:
    """Return whether a pair of trials prefers the greater rate."""
    u, r = UTILITIES + 2 * pair, RATES + 2 * pair
    return prefers_more(state[u], state[r], state[u + 1], state[r + 1])


@njit(cache=True)
def bounded(state: Any, change: float) -> float:
    """Return the change (bits/s, >= 0) within its boundary, and move the boundary."""
    boundary = state[RATE] * (BOUNDARY + BOUNDARY_STEP * state[ALLOWANCE])
    if change > boundary:
        change = boundary
        state[ALLOWANCE] += 1.0
    elif state[ALLOWANCE] > 0.0:
        state[ALLOWANCE] -= 1.0
    return max(change, LEAST_CHANGE_BPS)


@njit(cache=True)
def step_of(utility_change: float, rate_change: float) -> float:
    """Return the rate change that a gradient asks for, bits/s, unsigned."""
    if rate_change == 0.0:
        return 0.0
    return abs(GRADIENT_UNIT * utility_change / rate_change) * GRADIENT_UNIT


@njit(cache=True)
def change_after_probing(state: Any) -> float:
    """Return the first change after a decision: the gradient over the pairs that agree with it."""
    total = 0.0
    for pair in range(PAIRS):
        if more(state, pair) == (state[DIRECTION] > 0.0):
            total += abs(state[UTILITIES + 2 * pair] - state[UTILITIES + 2 * pair + 1])
    state[ALLOWANCE] = 0.0
    return bounded(state, step_of(total / PAIRS, state[RATES] - state[RATES + 1]))


@njit(cache=True)
def change_while_moving(state: Any, value: float, paced: float) -> float:
    """Return the next change while moving, from the last two rates."""
    step = step_of(value - state[UTILITY], paced - state[UTILITY_BPS])
    return bounded(state, step * ((state[ROUNDS] + 1.0) // 2.0) ** AMPLIFY)


@njit(cache=True)
def advance(state: Any, change: float) -> None:
    """Change the rate in the direction of the decision; probe if that meets the least rate."""
    set_rate(state, state[RATE] + state[DIRECTION] * change, 1.0)
    if state[RATE] < LEAST_BPS:
        set_rate(state, LEAST_BPS, 1.0)
        state[ROUNDS] = 1.0
        state[ALLOWANCE] = 0.0
        new_round(state, PROBING)
    else:
        new_round(state, MOVING)


@njit(cache=True)
def heard_starting(state: Any, value: float, paced: float) -> None:
    """Double while utility rises, else halve and probe."""
    if value > state[UTILITY]:
        state[UTILITY] = value
        state[UTILITY_BPS] = paced
        set_rate(state, 2.0 * state[RATE], 1.0)
        new_round(state, STARTING)
    else:
        set_rate(state, 0.5 * state[RATE], 1.0)
        state[ROUNDS] = 1.0
        new_round(state, PROBING)


@njit(cache=True)
def heard_probing(state: Any) -> None:
    """Decide after all pairs."""
    count = 0
    for pair in range(PAIRS):
        count += 1 if more(state, pair) else 0
    if count == 0 or 2 * count > PAIRS:
        up = count > 0
        state[DIRECTION] = 1.0 if up else -1.0
        for pair in range(PAIRS):
            if more(state, pair) == up:
                at = 2 * pair
                at += 0 if state[UTILITIES + at] > state[UTILITIES + at + 1] else 1
                state[UTILITY] = state[UTILITIES + at]
                state[UTILITY_BPS] = state[RATES + at]
        set_rate(state, state[RATE] * (1.0 + PROBE * state[DIRECTION]), 1.0)
        state[ROUNDS] = 1.0
        advance(state, change_after_probing(state))
    else:
        state[ROUNDS] += 1.0
        set_rate(state, state[RATE], 1.0)
        new_round(state, PROBING)
    if (state[ROUNDS] > 1.0 or state[MODE] == MOVING) and state[RATE] <= LEAST_BPS:
        set_rate(state, LEAST_BPS, 1.0)
        state[ROUNDS] = 1.0
        state[ALLOWANCE] = 0.0
        new_round(state, STARTING)


@njit(cache=True)
def heard_moving(state: Any, value: float, paced: float) -> None:
    """Go on while the gradient has the sign of the direction, else step back and probe."""
    slope = (value - state[UTILITY]) * (paced - state[UTILITY_BPS])
    if slope * state[DIRECTION] > 0.0:
        state[ROUNDS] += 1.0
        advance(state, change_while_moving(state, value, paced))
        state[UTILITY] = value
        state[UTILITY_BPS] = paced
        return
    state[ROUNDS] = 1.0
    change = change_while_moving(state, value, paced)
    set_rate(state, state[RATE] - state[DIRECTION] * change, 1.0)
    if state[RATE] < LEAST_BPS:
        set_rate(state, LEAST_BPS, 1.0)
        state[ALLOWANCE] = 0.0
    new_round(state, PROBING)


@hook
def init(state: Any, flow: Any, constants: Any) -> None:
    """Begin at the parameter's rate, the flow's, or an initial window per 100 ms."""
    begin(state, flow, constants[START_BPS], window_rate(flow, ASSUMED_RTT_NS))
    state[ROUNDS] = 1.0


@hook
def on_interval_start(state: Any, interval: Any, constants: Any) -> None:
    """Give the interval its part: a trial, or waiting for results."""
    if is_waiting(state, interval, TRIALS if state[MODE] == PROBING else 1.0):
        return
    rtt = interval[I_SRTT_NS]
    if state[SCALED] == 0.0:
        state[SCALED] = 1.0
        set_rate(state, state[RATE] * max(1.0, ASSUMED_RTT_NS / rtt), 1.0)
    rate = probe_rate(state, PROBE) if state[MODE] == PROBING else state[RATE]
    begin_trial(state, interval)
    plan(state, rate, rtt, INTERVAL_LEAST_PACKETS)


@hook
def on_interval(state: Any, interval: Any, constants: Any) -> None:
    """Take the result of a trial; other intervals are of no use."""
    trial = trial_of(state, interval)
    if trial < 0:
        return
    starting = state[MODE] == STARTING
    value = utility(state, FIRST_OF_TREND, interval, state[BITS], starting, constants)
    paced = interval[I_PACING_BPS]
    if starting:
        heard_starting(state, value, paced)
    elif state[MODE] == MOVING:
        heard_moving(state, value, paced)
    else:
        state[UTILITIES + trial] = value
        state[RATES + trial] = paced
        if state[HEARD] >= TRIALS:
            heard_probing(state)


@register("vivace")
class Vivace(Controller):
    """PCC Vivace.

    Parameters: `rate_exponent`, `rtt_coefficient`, `loss_coefficient` of the utility (see
    `vivace_utility`); `start_bps`, bits/s (0: the flow's start rate, else an initial window per
    RTT).
    """

    state: ClassVar[tuple[str, ...]] = STATE + trials.COLUMNS + COLUMNS + TREND
    parameters: ClassVar[Mapping[str, float]] = {
        "rate_exponent": 0.9,
        "rtt_coefficient": 900.0,
        "loss_coefficient": 11.35,
        "start_bps": 0.0,
    }
    attribution: ClassVar[str] = SENT
    init = init
    on_interval = on_interval
    on_interval_start = on_interval_start

    @classmethod
    def constants(cls, parameters: Mapping[str, float]) -> NDArray[np.float64]:
        """Return float64[4]: the parameters.

        Raises:
            ValueError: a parameter is unknown, not finite, or negative.
        """
        own = super().constants(parameters)
        if (own < 0.0).any():
            raise ValueError(f"controller {cls.name!r}: negative parameter in {own.tolist()}")
        return own
