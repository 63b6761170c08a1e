"""BBRv3's pacing rate and window. draft-ietf-ccwg-bbr-05, "Updating Control Parameters"."""

from __future__ import annotations

from typing import Any

from numba import njit

from policies.congestion.base import (
    A_ACKED,
    A_DELIVERED,
    A_IN_RECOVERY,
    A_PACKET,
    A_SRTT_NS,
    CWND,
    PACING_BPS,
)
from policies.congestion.bbr3_state import (
    BW,
    CRUISE,
    EXTRA_ACKED,
    FULL_BW_REACHED,
    HAS_SEEN_RTT,
    IN_RECOVERY,
    INFLIGHT_LONGTERM,
    INFLIGHT_SHORTTERM,
    INITIAL_CWND,
    LOSS_POINT,
    MIN_PIPE_CWND,
    MODE,
    PACING_MARGIN,
    PACKET_BITS,
    PROBE_RTT,
    PROBE_RTT_CWND_GAIN,
    SLOWEST_PACKETS_PER_S,
    STARTUP,
    bdp_multiple,
    cwnd_gain,
    in_probe_bw,
    inflight_with_headroom,
    pacing_gain,
    restore_cwnd,
    with_budget,
)
from policies.congestion.filters import BEST


@njit(cache=True)
def start_pacing(state: Any, rtt_ns: float) -> None:
    """Pace the initial window over the RTT, times the Startup gain (BBRInitPacingRate)."""
    bps = state[INITIAL_CWND] * state[PACKET_BITS] * 1e9 / max(rtt_ns, 1000.0)
    state[PACING_BPS] = pacing_gain(STARTUP) * bps


@njit(cache=True)
def set_pacing(state: Any, ack: Any) -> None:
    """Pace at gain x bandwidth less 1 %; before the pipe is full only upward (BBRSetPacingRate)."""
    if state[HAS_SEEN_RTT] == 0.0:
        start_pacing(state, ack[A_SRTT_NS])
        state[HAS_SEEN_RTT] = 1.0
    bps = pacing_gain(state[MODE]) * state[BW] * PACING_MARGIN
    if state[FULL_BW_REACHED] > 0.0 or bps > state[PACING_BPS]:
        state[PACING_BPS] = max(bps, SLOWEST_PACKETS_PER_S * state[PACKET_BITS])


@njit(cache=True)
def note_recovery(state: Any, ack: Any) -> None:
    """Restore the window when recovery is over ("Modulating cwnd in Loss Recovery")."""
    recovering = ack[A_IN_RECOVERY] > 0.0 or ack[A_PACKET] < state[LOSS_POINT]
    if state[IN_RECOVERY] > 0.0 and not recovering:
        restore_cwnd(state)
    state[IN_RECOVERY] = 1.0 if recovering else 0.0


@njit(cache=True)
def set_cwnd(state: Any, ack: Any) -> None:
    """Move the window towards max_inflight by at most what was acknowledged (BBRSetCwnd)."""
    target = bdp_multiple(state, state[BW], cwnd_gain(state[MODE])) + state[EXTRA_ACKED + BEST]
    target = with_budget(state, target)
    cwnd = state[CWND]
    if state[FULL_BW_REACHED] > 0.0:
        cwnd = min(cwnd + ack[A_ACKED], target)
    elif cwnd < target or ack[A_DELIVERED] < state[INITIAL_CWND]:
        cwnd += ack[A_ACKED]
    cwnd = max(cwnd, MIN_PIPE_CWND)
    if state[MODE] == PROBE_RTT:
        cwnd = min(cwnd, probe_rtt_cwnd(state))
    state[CWND] = min(cwnd, _model_bound(state))


@njit(cache=True)
def probe_rtt_cwnd(state: Any) -> float:
    """Return the packets that ProbeRTT leaves in flight (BBRProbeRTTCwnd)."""
    return max(bdp_multiple(state, state[BW], PROBE_RTT_CWND_GAIN), MIN_PIPE_CWND)


@njit(cache=True)
def _model_bound(state: Any) -> float:
    """Return the most that recent congestion allows in flight (BBRBoundCwndForModel)."""
    bound = float("inf")
    if state[MODE] == CRUISE or state[MODE] == PROBE_RTT:
        bound = inflight_with_headroom(state)
    elif in_probe_bw(state[MODE]):
        bound = state[INFLIGHT_LONGTERM]
    return max(min(bound, state[INFLIGHT_SHORTTERM]), MIN_PIPE_CWND)
