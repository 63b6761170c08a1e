"""CUBIC: the window is a cubic function of the time since the last loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from policies.congestion import hystart, reno
from policies.congestion.base import (
    A_ACKED,
    A_IN_RECOVERY,
    A_NOW_NS,
    A_SRTT_NS,
    CWND,
    L_NEW_EPISODE,
    L_PRIOR_INFLIGHT,
    L_TIMEOUT,
    Controller,
    register,
)
from policies.congestion.hooks import hook
from policies.congestion.reno import LEAST, SSTHRESH, is_repeated_timeout, slow_start

STATE = (*reno.STATE, "epoch_ns", "w_max", "cwnd_prior", "w_est", "k_s", *hystart.COLUMNS)
(
    EPOCH_NS,  # when this stage of congestion avoidance began; -1: not yet
    W_MAX,  # packets; 0: undefined
    CWND_PRIOR,  # window when ssthresh was set
    W_EST,  # what Reno would have, packets
    K_S,  # time from the epoch until W_max is reached
    ROUNDS,  # first column of HyStart++
) = range(len(reno.STATE), len(reno.STATE) + 6)

# Constants: the parameters, then what follows from them.
C, BETA, FAST_CONVERGENCE, HYSTART, KEEPS_ALPHA, ALPHA, FAST_FACTOR = range(7)
SECONDS = 1e-9
STEEPEST = 1.5


@njit(cache=True)
def k_seconds(w_max: float, cwnd: float, c: float) -> float:
    """Return K, s: how long the cubic takes from `cwnd` to `w_max` >= cwnd, packets (4.2)."""
    return ((w_max - cwnd) / c) ** (1.0 / 3.0)


@hook
def init(state: Any, flow: Any, constants: Any) -> None:
    """Begin in slow start, from the flow's initial window."""
    reno.init(state, flow, constants)
    state[EPOCH_NS] = -1.0
    hystart.begin(state, ROUNDS)


@hook
def on_ack(state: Any, event: Any, constants: Any) -> None:
    """Follow the larger one of the cubic (4.2, 4.4, 4.5) and of Reno's estimate (4.3).

    This is the busiest function of a run. Congestion avoidance has one division, no root, and is
    not a function of its own: to hand rows on costs as much as the rest of it.
    """
    if event[A_IN_RECOVERY] > 0.0:
        return
    cwnd = state[CWND]
    if cwnd < state[SSTHRESH]:
        _start_slowly(state, event, constants)
        return
    if state[EPOCH_NS] < 0.0:
        _begin_epoch(state, event[A_NOW_NS], constants)
    w_max, c = state[W_MAX], constants[C]
    share = min(event[A_ACKED] / cwnd, 1.0)
    slow = constants[KEEPS_ALPHA] > 0.0 or state[W_EST] < state[CWND_PRIOR]
    w_est = state[W_EST] + (constants[ALPHA] if slow else 1.0) * share
    state[W_EST] = w_est
    t = (event[A_NOW_NS] - state[EPOCH_NS]) * SECONDS - state[K_S]
    if c * t * t * t + w_max < w_est:
        state[CWND] = max(cwnd, w_est)
        return
    t += event[A_SRTT_NS] * SECONDS
    target = min(max(c * t * t * t + w_max, cwnd), STEEPEST * cwnd)
    state[CWND] = cwnd + (target - cwnd) * share


@hook
def on_loss(state: Any, event: Any, constants: Any) -> None:
    """Reduce the window once per loss episode (4.6), to one packet at a time-out (4.8)."""
    if event[L_NEW_EPISODE] == 0.0:
        return
    if not is_repeated_timeout(state, event):
        _remember(state, event, constants)
    state[EPOCH_NS] = -1.0
    if event[L_TIMEOUT] > 0.0:
        state[CWND] = 1.0
        state[W_MAX] = 0.0
    else:
        state[CWND] = state[SSTHRESH]


@njit(cache=True)
def _remember(state: Any, event: Any, constants: Any) -> None:
    """Note where the loss happened: fast convergence (4.7), then ssthresh (4.6)."""
    cwnd = state[CWND]
    yields = constants[FAST_CONVERGENCE] > 0.0 and cwnd < state[W_MAX]
    state[W_MAX] = cwnd * constants[FAST_FACTOR] if yields else cwnd
    state[CWND_PRIOR] = cwnd
    state[SSTHRESH] = max(event[L_PRIOR_INFLIGHT] * constants[BETA], LEAST)


@njit(cache=True)
def _start_slowly(state: Any, event: Any, constants: Any) -> None:
    """Grow as Reno, or the first time as HyStart++; where that ends there is no W_max (4.10)."""
    if constants[HYSTART] == 0.0 or state[SSTHRESH] < math.inf:
        state[CWND] = slow_start(state[CWND], state[SSTHRESH], event[A_ACKED])
    elif hystart.is_over(state, ROUNDS, event):
        state[SSTHRESH] = state[CWND]
        state[CWND_PRIOR] = state[CWND]
    else:
        state[CWND] += hystart.growth(state, ROUNDS, event)


@njit(cache=True)
def _begin_epoch(state: Any, now_ns: float, constants: Any) -> None:
    cwnd = state[CWND]
    state[EPOCH_NS] = now_ns
    state[W_EST] = cwnd
    state[W_MAX] = max(state[W_MAX], cwnd)
    state[K_S] = k_seconds(state[W_MAX], cwnd, constants[C])


@register("cubic")
class Cubic(Controller):
    """CUBIC of RFC 9438 (its sections in brackets); a window, no pacing.

    Parameters:
        c: packets/s^3, > 0; how fast the window grows away from W_max.
        beta: what a loss leaves of the window, in (0, 1).
        fast_convergence: 1: a flow that lost below its last W_max yields more (4.7); 0: not.
        hystart: 1: the first slow start is that of HyStart++ (RFC 9406); 0: of RFC 5681.
        keeps_alpha: 1: Reno's estimate grows by alpha a round trip throughout, as in RFC 8312 (4.2)
            and Linux; 0: by a whole packet from the window of the last loss on (4.3).

    Time-outs in a row leave ssthresh as it is (RFC 5681, section 3.1).

    Deviations:
        Growth is (target - cwnd) / cwnd per acknowledged packet, not per ACK (4.4), so that delayed
        ACKs do not slow it; one ACK never takes it beyond the target.
        In the Reno-friendly region the window does not shrink: it is W_est where that is larger.
        Where W_max is below the window that an epoch begins with, as fast convergence allows, it
        becomes that window and K = 0, as after a time-out (4.8) and as in Linux.
        K is (...) ** (1/3), which may differ from the cube root in the last bit.
        HyStart++ is off by default, although 4.10 says SHOULD: it is an axis of comparison.
        No undoing of spurious congestion events (4.9): the network does not reorder packets.
        No reaction to ECN; slow start, windows and endless data as in `reno`.
    """

    state = STATE
    parameters: ClassVar[Mapping[str, float]] = {
        "c": 0.4,
        "beta": 0.7,
        "fast_convergence": 1.0,
        "hystart": 0.0,
        "keeps_alpha": 0.0,
    }
    init = init
    on_ack = on_ack
    on_loss = on_loss

    @classmethod
    def constants(cls, parameters: Mapping[str, float]) -> NDArray[np.float64]:
        """Return the parameters, Reno's alpha (4.3) and the factor of fast convergence (4.7).

        Raises:
            ValueError: a parameter that is unknown or out of range.
        """
        given = super().constants(parameters)
        beta = given[BETA]
        if given[C] <= 0.0 or not 0.0 < beta < 1.0:
            raise ValueError(f"cubic needs c > 0 and 0 < beta < 1, got {given[C]} and {beta}")
        return np.append(given, [3.0 * (1.0 - beta) / (1.0 + beta), 0.5 * (1.0 + beta)])
