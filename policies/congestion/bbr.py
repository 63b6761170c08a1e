"""BBR version 1 as Linux has it: pace at the bottleneck's bandwidth, keep about two BDP at most.

Cardwell et al., "BBR: Congestion-Based Congestion Control", ACM Queue 14(5), 2016; the code
followed is Linux net/ipv4/tcp_bbr.c (function names in brackets). Its parts lie in `bbr_model`,
`bbr_policer`, `bbr_window` and `bbr_state`; here are the modes and the hooks.

Deviations:
- No handshake: the first window is paced as if the RTT were 1 ms, as Linux does where it has no
  sample; the first ACK replaces that.
- Packets leave one by one. The allowance for segmentation offload (bbr_tso_segs_goal) still
  widens the window as in Linux, but no bursts are sent; and the earliest departure time is taken to
  be now (bbr_packets_in_net_at_edt), as nothing waits below the transport.
- Time is ns and rates are float64 where Linux has us, jiffies and 2^-24 packets/us. Gains are
  Linux's fixed-point numbers.
- Data never run out: no restart from idle; samples are application-limited only in ProbeRTT.
- Samples are held against the least RTT of the connection, in Linux against that of 300 s.
- Any RTT sample may replace an expired minimum, also one of a delayed ACK.
- Recovery has about Linux's length, not the transport's single round: it lasts until every loss of
  a packet sent before it began is made good, after a time-out until as many packets have arrived
  as it gave up. As nothing is sent twice, the next packet to be sent stands in for a lost one;
  where such a stand-in is lost as well, that counts for the last one only.
- There is no undo: spurious losses cannot be told.
- A pacing rate below a packet a minute becomes that.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numba import njit

from policies.congestion.base import (
    A_DELIVERED,
    A_INFLIGHT,
    A_LOST,
    A_NOW_NS,
    A_PRIOR_INFLIGHT,
    A_RTT_NS,
    CWND,
    INITIAL_WINDOW,
    L_DELIVERED,
    L_INFLIGHT,
    L_LOST,
    L_LOST_TOTAL,
    L_NEXT_PACKET,
    L_PACKET,
    L_TIMEOUT,
    PACKET_BYTES,
    PAYLOAD_BYTES,
    START_NS,
    Controller,
    register,
)
from policies.congestion.bbr_model import check_full_bw, update_aggregation, update_bw
from policies.congestion.bbr_policer import sample_policer
from policies.congestion.bbr_sample import mark_limited
from policies.congestion.bbr_state import (
    CA_STATE,
    COLUMNS,
    CWND_GAIN,
    CWND_GAIN_PROBE_BW,
    CYCLE_INDEX,
    CYCLE_STAMP,
    DELIVERED_STAMP,
    DRAIN,
    DRAIN_GAIN,
    EPOCH_STAMP,
    FULL_BW,
    FULL_BW_REACHED,
    HIGH_GAIN,
    LIMITED,
    LOSS,
    LT_STAMP,
    LT_USE_BW,
    MIN_CWND,
    MIN_RTT_NS,
    MIN_RTT_STAMP,
    MODE,
    NEXT_ROUND_DELIVERED,
    OPEN,
    PACING_GAIN,
    PACKET_BITS,
    PRIOR_CWND,
    PROBE_BW,
    PROBE_RTT,
    PROBE_RTT_DONE,
    PROBE_RTT_ROUND_DONE,
    QUANTUM_CAP,
    RECOVERY,
    ROUND_START,
    SAMPLE_LIMITED,
    SEEN_CA_STATE,
    STARTUP,
    burst_packets,
    cycle_gain,
    inflight_target,
    max_bw,
    next_phase,
    start_cycle,
)
from policies.congestion.bbr_window import (
    begin_recovery,
    repair,
    save_cwnd,
    set_cwnd,
    set_pacing,
    start_pacing,
)
from policies.congestion.hooks import draw, hook

MIN_RTT_WINDOW_NS = 10e9
PROBE_RTT_NS = 200e6
NOMINAL_RTT_NS = 1e6
BURST_BYTES = 65_536 - 1 - 320  # GSO_MAX_SIZE - 1 - MAX_TCP_HEADER


@hook
def init(state: Any, flow: Any, constants: Any) -> None:
    """Begin in Startup with the initial window, paced over 1 ms (bbr_init)."""
    state[PACKET_BITS] = 8.0 * flow[PACKET_BYTES]
    state[QUANTUM_CAP] = max(np.floor(BURST_BYTES / flow[PAYLOAD_BYTES]), 1.0)
    state[MIN_RTT_NS] = float("inf")
    for stamp in (MIN_RTT_STAMP, EPOCH_STAMP, LT_STAMP, DELIVERED_STAMP):
        state[stamp] = flow[START_NS]
    state[MODE] = STARTUP
    _set_gains(state)
    state[CWND] = flow[INITIAL_WINDOW]
    start_pacing(state, NOMINAL_RTT_NS)


@hook
def on_ack(state: Any, ack: Any, constants: Any) -> None:
    """Update the model, then rate and window (bbr_main)."""
    update_bw(state, ack)
    update_aggregation(state, ack)
    if state[MODE] == PROBE_BW and _phase_is_over(state, ack):
        next_phase(state, ack[A_NOW_NS])
    check_full_bw(state)
    _check_drain(state, ack)
    _update_min_rtt(state, ack)
    _set_gains(state)
    set_pacing(state, ack)
    set_cwnd(state, ack)


@hook
def on_loss(state: Any, loss: Any, constants: Any) -> None:
    """Note the window when recovery begins (bbr_ssthresh), and how long it will last."""
    if loss[L_TIMEOUT] > 0.0:
        _time_out(state, loss)
    elif state[CA_STATE] == OPEN:
        save_cwnd(state)
        begin_recovery(state, RECOVERY, loss[L_NEXT_PACKET], 1.0)
    else:
        repair(state, loss[L_PACKET], loss[L_NEXT_PACKET])


@njit(cache=True)
def _time_out(state: Any, loss: Any) -> None:
    """Leave one packet; seek a full pipe anew (tcp_enter_loss, bbr_set_state)."""
    save_cwnd(state)
    begin_recovery(state, LOSS, loss[L_NEXT_PACKET], loss[L_LOST])
    state[SEEN_CA_STATE] = LOSS
    state[CWND] = loss[L_INFLIGHT] + 1.0
    state[FULL_BW] = 0.0
    state[ROUND_START] = 1.0
    state[SAMPLE_LIMITED] = 0.0
    sample_policer(state, loss[L_DELIVERED], loss[L_LOST_TOTAL], 1.0)


@njit(cache=True)
def _in_network(state: Any, inflight: float) -> float:
    """Return the packets in the network at the next departure (bbr_packets_in_net_at_edt)."""
    return inflight + burst_packets(state) if state[PACING_GAIN] > 1.0 else inflight


@njit(cache=True)
def _phase_is_over(state: Any, ack: Any) -> bool:
    """Return whether the cycle goes on to its next phase (bbr_is_next_cycle_phase)."""
    full_length = ack[A_NOW_NS] - state[CYCLE_STAMP] > state[MIN_RTT_NS]
    gain = state[PACING_GAIN]
    if gain == 1.0:
        return full_length
    inflight = _in_network(state, ack[A_PRIOR_INFLIGHT])
    if gain > 1.0:
        reached = inflight >= inflight_target(state, max_bw(state), gain)
        return full_length and (ack[A_LOST] > 0.0 or reached)
    return full_length or inflight <= inflight_target(state, max_bw(state), 1.0)


@njit(cache=True)
def _check_drain(state: Any, ack: Any) -> None:
    """Leave Startup when the pipe is full, Drain when the queue is gone (bbr_check_drain)."""
    if state[MODE] == STARTUP and state[FULL_BW_REACHED] > 0.0:
        state[MODE] = DRAIN
    if state[MODE] == DRAIN:
        inflight = _in_network(state, ack[A_INFLIGHT])
        if inflight <= inflight_target(state, max_bw(state), 1.0):
            start_cycle(state, ack[A_NOW_NS], draw(state))


@njit(cache=True)
def _update_min_rtt(state: Any, ack: Any) -> None:
    """Keep the minimum RTT of 10 s, and go into ProbeRTT when it expired (bbr_update_min_rtt).

    Only a smaller RTT puts ProbeRTT off, as in Linux since 5.x; an equal one, which an empty
    queue gives again and again, does not.
    """
    expired = ack[A_NOW_NS] > state[MIN_RTT_STAMP] + MIN_RTT_WINDOW_NS
    if ack[A_RTT_NS] < state[MIN_RTT_NS] or expired:
        state[MIN_RTT_NS] = ack[A_RTT_NS]
        state[MIN_RTT_STAMP] = ack[A_NOW_NS]
    if expired and state[MODE] != PROBE_RTT:
        state[MODE] = PROBE_RTT
        save_cwnd(state)
        state[PROBE_RTT_DONE] = 0.0
    if state[MODE] == PROBE_RTT:
        _probe_rtt(state, ack)


@njit(cache=True)
def _probe_rtt(state: Any, ack: Any) -> None:
    """Stay at four packets in flight for 200 ms and a round, whichever is longer."""
    mark_limited(state, LIMITED, ack)
    if state[PROBE_RTT_DONE] == 0.0:
        if ack[A_INFLIGHT] <= MIN_CWND:
            state[PROBE_RTT_DONE] = ack[A_NOW_NS] + PROBE_RTT_NS
            state[PROBE_RTT_ROUND_DONE] = 0.0
            state[NEXT_ROUND_DELIVERED] = ack[A_DELIVERED]
        return
    if state[ROUND_START] > 0.0:
        state[PROBE_RTT_ROUND_DONE] = 1.0
    if state[PROBE_RTT_ROUND_DONE] > 0.0 and ack[A_NOW_NS] > state[PROBE_RTT_DONE]:
        _leave_probe_rtt(state, ack[A_NOW_NS])


@njit(cache=True)
def _leave_probe_rtt(state: Any, now_ns: float) -> None:
    """Restore the window and the mode from before (bbr_check_probe_rtt_done, bbr_reset_mode)."""
    state[MIN_RTT_STAMP] = now_ns
    state[CWND] = max(state[CWND], state[PRIOR_CWND])
    if state[FULL_BW_REACHED] > 0.0:
        start_cycle(state, now_ns, draw(state))
    else:
        state[MODE] = STARTUP


@njit(cache=True)
def _set_gains(state: Any) -> None:
    """Set pacing and window gain by mode and phase (bbr_update_gains)."""
    if state[MODE] == STARTUP:
        state[PACING_GAIN] = state[CWND_GAIN] = HIGH_GAIN
    elif state[MODE] == DRAIN:
        state[PACING_GAIN] = DRAIN_GAIN
        state[CWND_GAIN] = HIGH_GAIN
    elif state[MODE] == PROBE_BW:
        policed = state[LT_USE_BW] > 0.0
        state[PACING_GAIN] = 1.0 if policed else cycle_gain(state[CYCLE_INDEX])
        state[CWND_GAIN] = CWND_GAIN_PROBE_BW
    else:
        state[PACING_GAIN] = state[CWND_GAIN] = 1.0


@register("bbr")
class Bbr(Controller):
    """BBRv1: bandwidth is the maximum of 10 rounds, the RTT the minimum of 10 s."""

    state: ClassVar[tuple[str, ...]] = COLUMNS
    init = init
    on_ack = on_ack
    on_loss = on_loss
