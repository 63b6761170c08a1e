"""Rounds of trials, as both generations of PCC hold them: what they share of state and rules.

Results arrive about a round trip after an interval. A round is a run of consecutive intervals,
the trials; those begun after them wait for the results and count for nothing.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from policies.congestion.base import CWND, I_ID, I_SRTT_NS, OWN, PACING_BPS
from policies.congestion.hooks import draw
from policies.congestion.monitor import MOST_BPS, WAIT_NS, clamp, packet_bits, plan, start_rate

COLUMNS = (
    "mode",
    "rate_bps",
    "first_trial",
    "begun",
    "heard",
    "utility",
    "utility_bps",
    "direction",
    "packet_bits",
    "scaled",
    "up_first",
)
(
    MODE,
    RATE,  # bits/s; while probing, the centre
    FIRST,  # id of the first interval of this round
    BEGUN,  # trials begun in this round; their ids are FIRST, FIRST + 1, ...
    HEARD,  # and reported
    UTILITY,  # of the last trial that was found better
    UTILITY_BPS,  # its rate; 0: none yet
    DIRECTION,  # of moving: 1 or -1
    BITS,  # of a packet
    SCALED,  # 1 once the start rate is settled
    UP_FIRST,  # 1 if the pair of trials under way begins with the greater rate
) = range(OWN, OWN + len(COLUMNS))
AFTER = OWN + len(COLUMNS)
"""First column that is the controller's alone."""
STARTING, PROBING, MOVING = 0.0, 1.0, 2.0
IDLE_RTTS = 0.25


@njit(cache=True)
def set_rate(state: Any, rate: float, least_bps: float) -> None:
    """Set the rate, and pace at it at once: what is under way is no trial any more."""
    state[RATE] = clamp(rate, least_bps, MOST_BPS)
    state[PACING_BPS] = state[RATE]


@njit(cache=True)
def begin(state: Any, flow: Any, chosen_bps: float, fallback_bps: float) -> None:
    """Set up the flow at the chosen rate, its own, or (to be scaled by RTT) the fallback."""
    state[CWND] = float("inf")
    state[BITS] = packet_bits(flow)
    rate = start_rate(flow, chosen_bps, 0.0)
    state[SCALED] = 1.0 if rate > 0.0 else 0.0
    set_rate(state, rate if rate > 0.0 else fallback_bps, 1.0)
    plan(state, state[RATE], WAIT_NS, 0.0)


@njit(cache=True)
def new_round(state: Any, mode: float) -> None:
    """Begin a round of trials with the next interval."""
    state[MODE] = mode
    state[BEGUN] = 0.0
    state[HEARD] = 0.0


@njit(cache=True)
def is_waiting(state: Any, interval: Any, trials: float) -> bool:
    """Return whether the interval that begins is none of a round's trials; plan it if so."""
    rtt = interval[I_SRTT_NS]
    if not rtt > 0.0:
        plan(state, state[RATE], WAIT_NS, 0.0)
        return True
    if state[BEGUN] >= trials:
        plan(state, state[RATE], IDLE_RTTS * rtt, 1.0)
        return True
    return False


@njit(cache=True)
def begin_trial(state: Any, interval: Any) -> None:
    """Count the interval that begins as the next trial of the round."""
    if state[BEGUN] == 0.0:
        state[FIRST] = interval[I_ID]
    state[BEGUN] += 1.0


@njit(cache=True)
def probe_rate(state: Any, epsilon: float) -> float:
    """Return the next trial's rate: pairs of (1 + e, 1 - e) times the centre in random order."""
    first = state[BEGUN] % 2.0 == 0.0
    if first:
        state[UP_FIRST] = 1.0 if draw(state) < 0.5 else 0.0
    up = (state[UP_FIRST] == 1.0) == first
    return state[RATE] * (1.0 + epsilon if up else 1.0 - epsilon)


@njit(cache=True)
def trial_of(state: Any, interval: Any) -> int:
    """Return which trial of the round was reported, counted; -1 if it is none."""
    trial = int(interval[I_ID] - state[FIRST])
    if state[BEGUN] == 0.0 or trial < 0 or trial >= state[BEGUN]:
        return -1
    state[HEARD] += 1.0
    return trial
