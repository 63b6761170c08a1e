"""The state of BBRv3, its constants, and what its parts ask of it. draft-ietf-ccwg-bbr-05."""

from __future__ import annotations

from typing import Any

from numba import njit

from policies.congestion.base import CWND, OWN, PACING_BPS, STATE

OWN_STATE = (
    "packet_bits",
    "initial_window",
    "mode",
    "ack_phase",
    "round_count",
    "round_start",
    "next_round_delivered",
    "sample_bps",
    "sample_limited",
    "limited_end",
    "limited_began",
    "limited_ended",
    "cwnd_limited_round",
    "max_bw_previous",
    "max_bw_current",
    "bw",
    "bw_shortterm",
    "inflight_longterm",
    "inflight_shortterm",
    "bw_latest",
    "inflight_latest",
    "loss_round_start",
    "loss_round_delivered",
    "loss_in_round",
    "loss_ranges",
    "last_lost",
    "bw_probe_samples",
    "full_bw",
    "full_bw_count",
    "full_bw_now",
    "full_bw_reached",
    "drain_start_round",
    "cycle_stamp",
    "bw_probe_wait",
    "rounds_since_bw_probe",
    "bw_probe_up_rounds",
    "bw_probe_up_acks",
    "probe_up_cnt",
    "min_rtt_ns",
    "min_rtt_stamp",
    "probe_rtt_min_ns",
    "probe_rtt_min_stamp",
    "probe_rtt_expired",
    "probe_rtt_done",
    "probe_rtt_round_done",
    "prior_cwnd",
    "in_recovery",
    "loss_point",
    "has_seen_rtt",
    "extra_start",
    "extra_delivered",
    "extra_t0",
    "extra_0",
    "extra_t1",
    "extra_1",
    "extra_t2",
    "extra_2",
)
(
    PACKET_BITS,
    INITIAL_CWND,
    MODE,
    ACK_PHASE,
    ROUND_COUNT,
    ROUND_START,
    NEXT_ROUND_DELIVERED,
    SAMPLE_BPS,  # RS.delivery_rate of the present ACK; 0: none
    SAMPLE_LIMITED,  # RS.is_app_limited
    LIMITED,  # marks of three columns
    _LIMITED_BEGAN,
    _LIMITED_ENDED,
    CWND_LIMITED_ROUND,  # last round in which the window held a packet back
    MAX_BW_PREVIOUS,  # of the ProbeBW cycle before
    MAX_BW_CURRENT,
    BW,
    BW_SHORTTERM,  # bw_lo in older texts
    INFLIGHT_LONGTERM,  # inflight_hi in older texts
    INFLIGHT_SHORTTERM,  # inflight_lo in older texts
    BW_LATEST,
    INFLIGHT_LATEST,
    LOSS_ROUND_START,
    LOSS_ROUND_DELIVERED,
    LOSS_IN_ROUND,
    LOSS_RANGES,  # runs of consecutive packets lost in this loss round
    LAST_LOST,
    BW_PROBE_SAMPLES,
    FULL_BW,
    FULL_BW_COUNT,
    FULL_BW_NOW,
    FULL_BW_REACHED,
    DRAIN_START_ROUND,
    CYCLE_STAMP,
    BW_PROBE_WAIT,  # ns
    ROUNDS_SINCE_BW_PROBE,
    BW_PROBE_UP_ROUNDS,
    BW_PROBE_UP_ACKS,
    PROBE_UP_CNT,
    MIN_RTT_NS,
    MIN_RTT_STAMP,
    PROBE_RTT_MIN_NS,  # probe_rtt_min_delay
    PROBE_RTT_MIN_STAMP,
    PROBE_RTT_EXPIRED,
    PROBE_RTT_DONE,  # ns; 0: not yet at the small window
    PROBE_RTT_ROUND_DONE,
    PRIOR_CWND,
    IN_RECOVERY,  # at the end of the last ACK
    LOSS_POINT,  # first packet number sent after the last time-out
    HAS_SEEN_RTT,
    EXTRA_START,
    EXTRA_DELIVERED,
    EXTRA_ACKED,  # filter of six columns, packets over rounds
    _EXTRA_0,
    _EXTRA_T1,
    _EXTRA_1,
    _EXTRA_T2,
    _EXTRA_2,
) = range(OWN, OWN + len(OWN_STATE))
COLUMNS = (*STATE, *OWN_STATE)

STARTUP, DRAIN, DOWN, CRUISE, REFILL, UP, PROBE_RTT = 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0
ACKS_INIT, ACKS_REFILLING, ACKS_STARTING, ACKS_FEEDBACK, ACKS_STOPPING = 0.0, 1.0, 2.0, 3.0, 4.0

LOSS_THRESH = 0.02
BETA = 0.7
HEADROOM = 0.15
MIN_PIPE_CWND = 4.0
PACING_MARGIN = 0.99
PROBE_RTT_CWND_GAIN = 0.5
# Floor of the pacing rate: one packet a minute, the longest that a sender waits anyway.
SLOWEST_PACKETS_PER_S = 1.0 / 60.0


@njit(cache=True)
def pacing_gain(mode: float) -> float:
    """Return the pacing gain ("Summary of Control Behavior in the State Machine")."""
    if mode == STARTUP:
        return 2.77
    if mode == DRAIN:
        return 0.5
    if mode == DOWN:
        return 0.9
    return 1.25 if mode == UP else 1.0


@njit(cache=True)
def cwnd_gain(mode: float) -> float:
    """Return the window gain ("Summary of Control Behavior in the State Machine")."""
    if mode == UP:
        return 2.25
    return PROBE_RTT_CWND_GAIN if mode == PROBE_RTT else 2.0


@njit(cache=True)
def in_probe_bw(mode: float) -> bool:
    """Return whether the mode is a phase of ProbeBW (IsInAProbeBWState)."""
    return DOWN <= mode <= UP


@njit(cache=True)
def max_bw(state: Any) -> float:
    """Return the largest sample of this ProbeBW cycle and the one before, bits/s."""
    return max(state[MAX_BW_PREVIOUS], state[MAX_BW_CURRENT])


@njit(cache=True)
def bdp_multiple(state: Any, bps: float, gain: float) -> float:
    """Return gain x bandwidth x min RTT in packets (BBRBDPMultiple)."""
    if state[MIN_RTT_NS] == float("inf"):
        return state[INITIAL_CWND]
    return gain * bps * state[MIN_RTT_NS] / 1e9 / state[PACKET_BITS]


@njit(cache=True)
def with_budget(state: Any, window: float) -> float:
    """Return a window that is enough for bursts and pipelining (BBRQuantizationBudget).

    The offload budget is TCP's, three times the quantum of 1 ms at the pacing rate, at least two
    packets and at most 64 KiB ("BBR.offload_budget", "Send Quantum").
    """
    quantum = min(state[PACING_BPS] * 1e-3, 65_536.0 * 8.0) / state[PACKET_BITS]
    window = max(window, 3.0 * max(quantum, 2.0), MIN_PIPE_CWND)
    return window + 2.0 if state[MODE] == UP else window


@njit(cache=True)
def inflight_at(state: Any, bps: float) -> float:
    """Return the packets in flight that fill the path at this bandwidth (BBRInflight, gain 1)."""
    return with_budget(state, bdp_multiple(state, bps, 1.0))


@njit(cache=True)
def target_inflight(state: Any) -> float:
    """Return the BDP, or the window if that is smaller (BBRTargetInflight)."""
    return min(bdp_multiple(state, state[BW], 1.0), state[CWND])


@njit(cache=True)
def inflight_with_headroom(state: Any) -> float:
    """Return inflight_longterm less what others should find free (BBRInflightWithHeadroom)."""
    limit = state[INFLIGHT_LONGTERM]
    if limit == float("inf"):
        return limit
    return max(limit - max(1.0, HEADROOM * limit), MIN_PIPE_CWND)


@njit(cache=True)
def is_cwnd_limited(state: Any) -> bool:
    """Return whether the window held a packet back in this round or the last."""
    return state[ROUND_COUNT] - state[CWND_LIMITED_ROUND] <= 1.0


@njit(cache=True)
def reset_full_bw(state: Any, bps: float) -> None:
    """Begin anew to look for a plateau, from this rate in bits/s (BBRResetFullBW)."""
    state[FULL_BW] = bps
    state[FULL_BW_COUNT] = 0.0
    state[FULL_BW_NOW] = 0.0


@njit(cache=True)
def reset_short_term(state: Any) -> None:
    """Forget the bounds from recent losses (BBRResetShortTermModel)."""
    state[BW_SHORTTERM] = float("inf")
    state[INFLIGHT_SHORTTERM] = float("inf")


@njit(cache=True)
def save_cwnd(state: Any) -> None:
    """Note the window for after recovery or ProbeRTT (BBRSaveCwnd)."""
    if state[IN_RECOVERY] == 0.0 and state[MODE] != PROBE_RTT:
        state[PRIOR_CWND] = state[CWND]
    else:
        state[PRIOR_CWND] = max(state[PRIOR_CWND], state[CWND])


@njit(cache=True)
def restore_cwnd(state: Any) -> None:
    """Widen the window to what it was before (BBRRestoreCwnd)."""
    state[CWND] = max(state[CWND], state[PRIOR_CWND])
