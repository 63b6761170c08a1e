"""BBRv1's pacing rate and window, from its model of the path. Linux net/ipv4/tcp_bbr.c."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from policies.congestion.base import (
    A_ACKED,
    A_DELIVERED,
    A_INFLIGHT,
    A_LOST,
    A_NEXT_PACKET,
    A_PACKET,
    A_SRTT_NS,
    CWND,
    PACING_BPS,
)
from policies.congestion.bbr_state import (
    CA_STATE,
    CWND_GAIN,
    EXTRA_ACKED,
    FULL_BW_REACHED,
    HAS_SEEN_RTT,
    HIGH_GAIN,
    INITIAL_WINDOW_UNMEASURED,
    LAST_REPAIR,
    LOSS,
    MIN_CWND,
    MODE,
    NEXT_ROUND_DELIVERED,
    OPEN,
    PACING_GAIN,
    PACING_MARGIN,
    PACKET_BITS,
    PACKET_CONSERVATION,
    PRIOR_CWND,
    PROBE_RTT,
    RECOVERY,
    RECOVERY_POINT,
    SEEN_CA_STATE,
    SLOWEST_PACKETS_PER_S,
    bandwidth,
    bdp,
    with_budget,
)

EXTRA_ACKED_MOST_S = 0.1


@njit(cache=True)
def start_pacing(state: Any, rtt_ns: float) -> None:
    """Pace the window over the RTT, times the Startup gain (bbr_init_pacing_rate_from_rtt)."""
    bps = state[CWND] * state[PACKET_BITS] * 1e9 / max(rtt_ns, 1000.0)
    state[PACING_BPS] = HIGH_GAIN * PACING_MARGIN * bps


@njit(cache=True)
def set_pacing(state: Any, ack: Any) -> None:
    """Pace at gain x bandwidth less 1 %; until full only faster (bbr_set_pacing_rate)."""
    if state[HAS_SEEN_RTT] == 0.0:
        start_pacing(state, ack[A_SRTT_NS])
        state[HAS_SEEN_RTT] = 1.0
    bps = state[PACING_GAIN] * PACING_MARGIN * bandwidth(state)
    if state[FULL_BW_REACHED] > 0.0 or bps > state[PACING_BPS]:
        state[PACING_BPS] = max(bps, SLOWEST_PACKETS_PER_S * state[PACKET_BITS])


@njit(cache=True)
def save_cwnd(state: Any) -> None:
    """Note the window for after recovery or ProbeRTT (bbr_save_cwnd)."""
    if state[SEEN_CA_STATE] < RECOVERY and state[MODE] != PROBE_RTT:
        state[PRIOR_CWND] = state[CWND]
    else:
        state[PRIOR_CWND] = max(state[PRIOR_CWND], state[CWND])


@njit(cache=True)
def set_cwnd(state: Any, ack: Any) -> None:
    """Move the window towards its target by at most what was acknowledged (bbr_set_cwnd)."""
    cwnd = _recover_or_restore(state, ack)
    if state[PACKET_CONSERVATION] == 0.0:
        target = bdp(state, bandwidth(state), state[CWND_GAIN])
        target = with_budget(state, target + _aggregation(state))
        if state[FULL_BW_REACHED] > 0.0:
            cwnd = min(cwnd + ack[A_ACKED], target)
        elif cwnd < target or ack[A_DELIVERED] < INITIAL_WINDOW_UNMEASURED:
            cwnd += ack[A_ACKED]
        cwnd = max(cwnd, MIN_CWND)
    state[CWND] = min(cwnd, MIN_CWND) if state[MODE] == PROBE_RTT else cwnd


@njit(cache=True)
def _aggregation(state: Any) -> float:
    """Return the packets to add for bunched ACKs, at most 100 ms (bbr_ack_aggregation_cwnd)."""
    if state[FULL_BW_REACHED] == 0.0:
        return 0.0
    most = np.floor(bandwidth(state) * EXTRA_ACKED_MOST_S / state[PACKET_BITS])
    return min(max(state[EXTRA_ACKED], state[EXTRA_ACKED + 1]), most)


@njit(cache=True)
def _recover_or_restore(state: Any, ack: Any) -> float:
    """Return the window after losses (bbr_set_cwnd_to_recover_or_restore).

    Recovery begins with a round of packet conservation; its end restores the window from before.
    """
    before, after = state[SEEN_CA_STATE], _ca_state(state, ack)
    cwnd = state[CWND]
    if ack[A_LOST] > 0.0:
        cwnd = max(cwnd - ack[A_LOST], 1.0)
    if after == RECOVERY and before != RECOVERY:
        state[PACKET_CONSERVATION] = 1.0
        state[NEXT_ROUND_DELIVERED] = ack[A_DELIVERED]
        cwnd = ack[A_INFLIGHT] + ack[A_ACKED]
    elif before >= RECOVERY and after < RECOVERY:
        cwnd = max(cwnd, state[PRIOR_CWND])
        state[PACKET_CONSERVATION] = 0.0
    state[SEEN_CA_STATE] = after
    if state[PACKET_CONSERVATION] > 0.0:
        cwnd = max(cwnd, ack[A_INFLIGHT] + ack[A_ACKED])
    return max(cwnd, 1.0)


@njit(cache=True)
def _ca_state(state: Any, ack: Any) -> float:
    """End recovery when what stands in for the last loss has arrived (tcp_fastretrans_alert).

    Newer losses that the same ACK reveals begin the next recovery without a break.
    """
    if state[CA_STATE] != OPEN and ack[A_PACKET] >= state[LAST_REPAIR]:
        state[CA_STATE] = OPEN
        if ack[A_LOST] > 0.0:
            begin_recovery(state, RECOVERY, ack[A_NEXT_PACKET], ack[A_LOST])
    return state[CA_STATE]


@njit(cache=True)
def begin_recovery(state: Any, kind: float, next_packet: float, lost: float) -> None:
    """Let RECOVERY or LOSS last until the `lost` next packets have arrived."""
    state[CA_STATE] = kind
    state[RECOVERY_POINT] = next_packet
    state[LAST_REPAIR] = next_packet + lost - 1.0


@njit(cache=True)
def repair(state: Any, packet: float, next_packet: float) -> None:
    """Let recovery last until a further lost packet is made good, if it is one of its own.

    That is, one sent before recovery began, or what stood in for the last one.
    """
    of_time_out = state[CA_STATE] == LOSS and packet <= state[LAST_REPAIR]
    if packet < state[RECOVERY_POINT] or packet == state[LAST_REPAIR] or of_time_out:
        state[LAST_REPAIR] = max(next_packet, state[LAST_REPAIR] + 1.0)
