"""The state of BBRv1, its constants, and what its parts ask of it. Linux net/ipv4/tcp_bbr.c."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from policies.congestion.base import OWN, PACING_BPS, STATE
from policies.congestion.filters import BEST

OWN_STATE = (
    "packet_bits",
    "quantum_cap",
    "min_rtt_ns",
    "min_rtt_stamp",
    "probe_rtt_done",
    "probe_rtt_round_done",
    "bw_t0",
    "bw_0",
    "bw_t1",
    "bw_1",
    "bw_t2",
    "bw_2",
    "sample_bps",
    "sample_limited",
    "limited_end",
    "limited_began",
    "limited_ended",
    "rounds",
    "next_round_delivered",
    "round_start",
    "mode",
    "cycle_index",
    "cycle_stamp",
    "pacing_gain",
    "cwnd_gain",
    "full_bw_reached",
    "full_bw",
    "full_bw_count",
    "has_seen_rtt",
    "ca_state",
    "seen_ca_state",
    "recovery_point",
    "last_repair",
    "packet_conservation",
    "prior_cwnd",
    "epoch_stamp",
    "epoch_acked",
    "extra_acked_0",
    "extra_acked_1",
    "extra_acked_rounds",
    "extra_acked_index",
    "lt_sampling",
    "lt_use_bw",
    "lt_bw",
    "lt_rounds",
    "lt_delivered",
    "lt_lost",
    "lt_stamp",
    "delivered_stamp",
)
(
    PACKET_BITS,
    QUANTUM_CAP,  # packets that the largest segmentation-offload burst holds
    MIN_RTT_NS,
    MIN_RTT_STAMP,
    PROBE_RTT_DONE,  # ns; 0: not yet at the small window
    PROBE_RTT_ROUND_DONE,
    BW,  # filter of six columns, bits/s over rounds
    _BW_0,
    _BW_T1,
    _BW_1,
    _BW_T2,
    _BW_2,
    SAMPLE_BPS,  # of the present ACK; -1: not valid
    SAMPLE_LIMITED,
    LIMITED,  # marks of three columns
    _LIMITED_BEGAN,
    _LIMITED_ENDED,
    ROUNDS,
    NEXT_ROUND_DELIVERED,
    ROUND_START,
    MODE,
    CYCLE_INDEX,
    CYCLE_STAMP,
    PACING_GAIN,
    CWND_GAIN,
    FULL_BW_REACHED,
    FULL_BW,
    FULL_BW_COUNT,
    HAS_SEEN_RTT,
    CA_STATE,
    SEEN_CA_STATE,  # at the end of the last ACK (prev_ca_state)
    RECOVERY_POINT,  # first packet number sent after recovery began
    LAST_REPAIR,  # number of the packet that stands in for the last loss that recovery repairs
    PACKET_CONSERVATION,
    PRIOR_CWND,
    EPOCH_STAMP,
    EPOCH_ACKED,
    EXTRA_ACKED,  # two slots
    _EXTRA_ACKED_1,
    EXTRA_ACKED_ROUNDS,
    EXTRA_ACKED_INDEX,
    LT_SAMPLING,
    LT_USE_BW,
    LT_BW,
    LT_ROUNDS,
    LT_DELIVERED,
    LT_LOST,
    LT_STAMP,
    DELIVERED_STAMP,
) = range(OWN, OWN + len(OWN_STATE))
COLUMNS = (*STATE, *OWN_STATE)

STARTUP, DRAIN, PROBE_BW, PROBE_RTT = 0.0, 1.0, 2.0, 3.0
OPEN, RECOVERY, LOSS = 0.0, 1.0, 2.0

# Gains are multiples of 1/256, rounded as the kernel rounds them.
HIGH_GAIN = 739.0 / 256.0  # 2/ln 2 = 2.885, rounded up
DRAIN_GAIN = 88.0 / 256.0  # its inverse, rounded down
CWND_GAIN_PROBE_BW = 2.0
CYCLE = 8
BW_ROUNDS = CYCLE + 2.0
MIN_CWND = 4.0
INITIAL_WINDOW_UNMEASURED = 10.0
PACING_MARGIN = 0.99
# Floor of the pacing rate: one packet a minute, the longest that a sender waits anyway.
SLOWEST_PACKETS_PER_S = 1.0 / 60.0


@njit(cache=True)
def max_bw(state: Any) -> float:
    """Return the windowed maximum of the bandwidth samples, bits/s (bbr_max_bw)."""
    return state[BW + BEST]


@njit(cache=True)
def bandwidth(state: Any) -> float:
    """Return the bandwidth estimate in use, bits/s (bbr_bw)."""
    return state[LT_BW] if state[LT_USE_BW] > 0.0 else max_bw(state)


@njit(cache=True)
def cycle_gain(index: float) -> float:
    """Return the pacing gain of a phase of the cycle (bbr_pacing_gain)."""
    if index == 0.0:
        return 1.25
    return 0.75 if index == 1.0 else 1.0


@njit(cache=True)
def burst_packets(state: Any) -> float:
    """Return the packets of a segmentation-offload burst at this rate (bbr_tso_segs_goal).

    About 1 ms (1/1024 s) at the pacing rate, at least 2 packets, 1 below 1.2 Mbit/s.
    """
    rate = state[PACING_BPS]
    least = 1.0 if rate < 1.2e6 else 2.0
    packets = np.floor(rate / 1024.0 / state[PACKET_BITS])
    return min(max(min(packets, state[QUANTUM_CAP]), least), 127.0)


@njit(cache=True)
def bdp(state: Any, bps: float, gain: float) -> float:
    """Return gain x bandwidth x min RTT in packets, rounded up (bbr_bdp)."""
    if state[MIN_RTT_NS] == float("inf"):
        return INITIAL_WINDOW_UNMEASURED
    return np.ceil(gain * bps * state[MIN_RTT_NS] / 1e9 / state[PACKET_BITS])


@njit(cache=True)
def with_budget(state: Any, window: float) -> float:
    """Return a window widened for bursts and delayed ACKs (bbr_quantization_budget)."""
    window += 3.0 * burst_packets(state)
    window = 2.0 * np.floor((window + 1.0) / 2.0)
    if state[MODE] == PROBE_BW and state[CYCLE_INDEX] == 0.0:
        window += 2.0
    return window


@njit(cache=True)
def inflight_target(state: Any, bps: float, gain: float) -> float:
    """Return the packets in flight that fill the path at a gain (bbr_inflight)."""
    return with_budget(state, bdp(state, bps, gain))


@njit(cache=True)
def start_cycle(state: Any, now_ns: float, luck: float) -> None:
    """Enter ProbeBW at any phase but 3/4; `luck` in [0, 1) (bbr_reset_probe_bw_mode)."""
    state[MODE] = PROBE_BW
    state[CYCLE_INDEX] = CYCLE - 1.0 - np.floor(luck * (CYCLE - 1.0))
    next_phase(state, now_ns)


@njit(cache=True)
def next_phase(state: Any, now_ns: float) -> None:
    """Step to the next phase of the cycle (bbr_advance_cycle_phase)."""
    state[CYCLE_INDEX] = (state[CYCLE_INDEX] + 1.0) % CYCLE
    state[CYCLE_STAMP] = now_ns
