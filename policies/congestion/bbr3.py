"""BBR version 3: BBR that also bounds what it has in flight by the losses that it meets.

Cardwell, Swett, Beshay, "BBR Congestion Control", draft-ietf-ccwg-bbr-05; section titles are in
quotation marks, names of its functions in brackets. The parts lie in `bbr3_model`,
`bbr3_probe_bw`, `bbr3_window` and `bbr3_state`; here are Startup, Drain, ProbeRTT and the hooks.
Its inflight_longterm, inflight_shortterm and bw_shortterm are inflight_hi, inflight_lo and bw_lo
in older texts and in Linux. Later revisions of the draft go into ProbeRTT every 10 s, not 5, and
probe with more precaution after a loss.

Deviations:
- No ECN: the model has none (the draft leaves the response open).
- No undo of spurious losses, as they cannot be told; no restart from idle, as data never run out.
- ACKs of a probe are over one round after it (ack_phase ACKS_INIT, bw_probe_samples 0), as in
  Linux's version and later revisions of the draft; the text of -05 would let the bandwidth filter
  age every round instead of every cycle.
- Recovery ends here a round after it began. So Startup ends for loss at the end of a round that a
  loss began, where the draft says after a round in fast recovery.
- A lost range is a run of consecutive packet numbers; all packets are resent as new ones.
- Lost packets count as not application-limited (the event does not tell).
- The window counts as the limit if it held a packet back in this round or the one before.
- A time-out sets inflight_shortterm, if unset, from the window before it, as Linux does, not
  from the window of one packet after it. Recovery from it lasts until a packet sent after it is
  acknowledged.
- Where losses ran far beyond 2 % at once, the share of the last packet is taken as 0, not negative
  (as Linux).
- An ACK without a rate sample does not count as a round without growth.
- A cycle without a bandwidth sample does not age the bandwidth filter (as Linux).
- No handshake: the first window is paced as if the RTT were 1 ms; the first ACK replaces that.
- A pacing rate below a packet a minute becomes that.
"""

from __future__ import annotations

from typing import Any, ClassVar

from numba import njit

from policies.congestion.base import (
    A_DELIVERED,
    A_INFLIGHT,
    A_LOST_TOTAL,
    A_NOW_NS,
    A_RTT_NS,
    A_TX_INFLIGHT,
    A_TX_LOST_TOTAL,
    CWND,
    INITIAL_WINDOW,
    L_DELIVERED,
    L_INFLIGHT,
    L_NEW_EPISODE,
    L_NEXT_PACKET,
    L_PACKET,
    L_TIMEOUT,
    PACKET_BYTES,
    START_NS,
    Controller,
    register,
)
from policies.congestion.bbr3_model import (
    advance_latest,
    check_full_bw,
    start_round,
    take_sample,
    update_aggregation,
    update_congestion,
    update_latest,
)
from policies.congestion.bbr3_probe_bw import judge_loss, start_down, too_high, update_probe_bw
from policies.congestion.bbr3_state import (
    ACK_PHASE,
    ACKS_STOPPING,
    BW,
    COLUMNS,
    CRUISE,
    CWND_LIMITED_ROUND,
    DRAIN,
    DRAIN_START_ROUND,
    EXTRA_START,
    FULL_BW_REACHED,
    IN_RECOVERY,
    INFLIGHT_LATEST,
    INFLIGHT_LONGTERM,
    INFLIGHT_SHORTTERM,
    INITIAL_CWND,
    LAST_LOST,
    LIMITED,
    LOSS_IN_ROUND,
    LOSS_POINT,
    LOSS_RANGES,
    LOSS_ROUND_DELIVERED,
    LOSS_ROUND_START,
    MIN_RTT_NS,
    MIN_RTT_STAMP,
    MODE,
    PACKET_BITS,
    PRIOR_CWND,
    PROBE_RTT,
    PROBE_RTT_DONE,
    PROBE_RTT_EXPIRED,
    PROBE_RTT_MIN_NS,
    PROBE_RTT_MIN_STAMP,
    PROBE_RTT_ROUND_DONE,
    PROBE_UP_CNT,
    REFILL,
    ROUND_COUNT,
    ROUND_START,
    STARTUP,
    UP,
    bdp_multiple,
    inflight_at,
    max_bw,
    reset_short_term,
    restore_cwnd,
    save_cwnd,
)
from policies.congestion.bbr3_window import (
    note_recovery,
    probe_rtt_cwnd,
    set_cwnd,
    set_pacing,
    start_pacing,
)
from policies.congestion.bbr_sample import mark_limited
from policies.congestion.hooks import hook

MIN_RTT_WINDOW_NS = 10e9
PROBE_RTT_INTERVAL_NS = 5e9
PROBE_RTT_NS = 200e6
NOMINAL_RTT_NS = 1e6
STARTUP_LOSS_RANGES = 6.0
DRAIN_ROUNDS = 3.0


@hook
def init(state: Any, flow: Any, constants: Any) -> None:
    """Begin in Startup with the initial window, paced over 1 ms (BBROnInit)."""
    state[PACKET_BITS] = 8.0 * flow[PACKET_BYTES]
    state[INITIAL_CWND] = flow[INITIAL_WINDOW]
    for bound in (MIN_RTT_NS, PROBE_RTT_MIN_NS, INFLIGHT_LONGTERM, PROBE_UP_CNT):
        state[bound] = float("inf")
    reset_short_term(state)
    for stamp in (MIN_RTT_STAMP, PROBE_RTT_MIN_STAMP, EXTRA_START):
        state[stamp] = flow[START_NS]
    state[CWND_LIMITED_ROUND] = state[LAST_LOST] = -2.0
    state[MODE] = STARTUP
    state[CWND] = flow[INITIAL_WINDOW]
    start_pacing(state, NOMINAL_RTT_NS)


@hook
def on_ack(state: Any, ack: Any, constants: Any) -> None:
    """Update model and mode, then rate and window ("Per-ACK Steps")."""
    take_sample(state, ack)
    update_latest(state, ack)
    update_congestion(state, ack)
    update_aggregation(state, ack)
    check_full_bw(state)
    _check_startup(state, ack)
    _check_drain(state, ack)
    update_probe_bw(state, ack)
    _update_min_rtt(state, ack)
    _check_probe_rtt(state, ack)
    advance_latest(state, ack)
    note_recovery(state, ack)
    set_pacing(state, ack)
    set_cwnd(state, ack)


@hook
def on_loss(state: Any, loss: Any, constants: Any) -> None:
    """Note the loss, and bound the model if a probe went too far ("Per-Loss Steps")."""
    if loss[L_NEW_EPISODE] > 0.0 or loss[L_TIMEOUT] > 0.0:
        save_cwnd(state)
        state[IN_RECOVERY] = 1.0
    if state[LOSS_IN_ROUND] == 0.0:
        state[LOSS_ROUND_DELIVERED] = loss[L_DELIVERED]
        state[LOSS_IN_ROUND] = 1.0
    if loss[L_PACKET] != state[LAST_LOST] + 1.0:
        state[LOSS_RANGES] += 1.0
    state[LAST_LOST] = loss[L_PACKET]
    judge_loss(state, loss)
    if loss[L_TIMEOUT] > 0.0:
        _time_out(state, loss)


@njit(cache=True)
def _time_out(state: Any, loss: Any) -> None:
    """Leave one packet ("Modulating cwnd in Loss Recovery", BBROnEnterRTO)."""
    probing = state[MODE] == STARTUP or state[MODE] == REFILL or state[MODE] == UP
    if not probing and state[INFLIGHT_SHORTTERM] == float("inf"):
        state[INFLIGHT_SHORTTERM] = state[PRIOR_CWND]
    state[LOSS_POINT] = loss[L_NEXT_PACKET]
    state[CWND] = loss[L_INFLIGHT] + 1.0


@njit(cache=True)
def _check_startup(state: Any, ack: Any) -> None:
    """Leave Startup for Drain on a plateau or on high loss (BBRCheckStartupDone)."""
    if state[MODE] != STARTUP:
        return
    if state[FULL_BW_REACHED] == 0.0 and _startup_loss_is_high(state, ack):
        state[FULL_BW_REACHED] = 1.0
        bdp = bdp_multiple(state, max_bw(state), 1.0)
        state[INFLIGHT_LONGTERM] = max(bdp, state[INFLIGHT_LATEST])
    if state[FULL_BW_REACHED] > 0.0:
        state[MODE] = DRAIN
        state[DRAIN_START_ROUND] = state[ROUND_COUNT]


@njit(cache=True)
def _startup_loss_is_high(state: Any, ack: Any) -> bool:
    """Return whether a round lost over 2 % in six ranges or more (BBRCheckStartupHighLoss)."""
    lost = ack[A_LOST_TOTAL] - ack[A_TX_LOST_TOTAL]
    many = state[LOSS_IN_ROUND] > 0.0 and state[LOSS_RANGES] >= STARTUP_LOSS_RANGES
    return state[LOSS_ROUND_START] > 0.0 and many and too_high(lost, ack[A_TX_INFLIGHT])


@njit(cache=True)
def _check_drain(state: Any, ack: Any) -> None:
    """Leave Drain when the queue is gone, or after three rounds (BBRCheckDrainDone)."""
    if state[MODE] != DRAIN:
        return
    late = state[ROUND_COUNT] > state[DRAIN_START_ROUND] + DRAIN_ROUNDS
    if late or ack[A_INFLIGHT] <= inflight_at(state, state[BW]):
        start_down(state, ack[A_NOW_NS], ack[A_DELIVERED])


@njit(cache=True)
def _update_min_rtt(state: Any, ack: Any) -> None:
    """Keep the minimum RTT of 10 s, and that of 5 s that schedules ProbeRTT (BBRUpdateMinRTT)."""
    now, rtt = ack[A_NOW_NS], ack[A_RTT_NS]
    expired = now > state[PROBE_RTT_MIN_STAMP] + PROBE_RTT_INTERVAL_NS
    state[PROBE_RTT_EXPIRED] = 1.0 if expired else 0.0
    if rtt < state[PROBE_RTT_MIN_NS] or expired:
        state[PROBE_RTT_MIN_NS] = rtt
        state[PROBE_RTT_MIN_STAMP] = now
    expired = now > state[MIN_RTT_STAMP] + MIN_RTT_WINDOW_NS
    if state[PROBE_RTT_MIN_NS] < state[MIN_RTT_NS] or expired:
        state[MIN_RTT_NS] = state[PROBE_RTT_MIN_NS]
        state[MIN_RTT_STAMP] = state[PROBE_RTT_MIN_STAMP]


@njit(cache=True)
def _check_probe_rtt(state: Any, ack: Any) -> None:
    """Enter ProbeRTT when its minimum expired, and see to its end (BBRCheckProbeRTT)."""
    if state[MODE] != PROBE_RTT and state[PROBE_RTT_EXPIRED] > 0.0:
        state[MODE] = PROBE_RTT
        save_cwnd(state)
        state[PROBE_RTT_DONE] = 0.0
        state[ACK_PHASE] = ACKS_STOPPING
        start_round(state, ack[A_DELIVERED])
    if state[MODE] == PROBE_RTT:
        _handle_probe_rtt(state, ack)


@njit(cache=True)
def _handle_probe_rtt(state: Any, ack: Any) -> None:
    """Stay at half the BDP for 200 ms and a round (BBRHandleProbeRTT, BBRCheckProbeRTTDone)."""
    mark_limited(state, LIMITED, ack)
    if state[PROBE_RTT_DONE] == 0.0:
        if ack[A_INFLIGHT] <= probe_rtt_cwnd(state):
            state[PROBE_RTT_DONE] = ack[A_NOW_NS] + PROBE_RTT_NS
            state[PROBE_RTT_ROUND_DONE] = 0.0
            start_round(state, ack[A_DELIVERED])
        return
    if state[ROUND_START] > 0.0:
        state[PROBE_RTT_ROUND_DONE] = 1.0
    if state[PROBE_RTT_ROUND_DONE] > 0.0 and ack[A_NOW_NS] > state[PROBE_RTT_DONE]:
        state[PROBE_RTT_MIN_STAMP] = ack[A_NOW_NS]
        restore_cwnd(state)
        _exit_probe_rtt(state, ack)


@njit(cache=True)
def _exit_probe_rtt(state: Any, ack: Any) -> None:
    """Cruise if the pipe was ever full, else go on with Startup (BBRExitProbeRTT)."""
    reset_short_term(state)
    if state[FULL_BW_REACHED] > 0.0:
        start_down(state, ack[A_NOW_NS], ack[A_DELIVERED])
        state[MODE] = CRUISE
    else:
        state[MODE] = STARTUP


@register("bbr3")
class Bbr3(Controller):
    """BBRv3: keeps rate, and packets in flight, below what lost over 2 % when it last probed."""

    state: ClassVar[tuple[str, ...]] = COLUMNS
    init = init
    on_ack = on_ack
    on_loss = on_loss
