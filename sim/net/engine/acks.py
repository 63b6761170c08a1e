"""What a sender hears: ACKs, the losses that they reveal, and time-outs (docs/network-model.md)."""

from __future__ import annotations

from typing import Any

from numba import njit

from policies.congestion.base import (
    A_ACKED,
    A_DELIVERED,
    A_IN_RECOVERY,
    A_INFLIGHT,
    A_LOST,
    A_LOST_TOTAL,
    A_MIN_RTT_NS,
    A_NEXT_PACKET,
    A_NOW_NS,
    A_PACKET,
    A_PRIOR_DELIVERED,
    A_PRIOR_INFLIGHT,
    A_RTT_NS,
    A_SAMPLE_NS,
    A_SRTT_NS,
    A_TX_INFLIGHT,
    A_TX_LOST_TOTAL,
    L_DELIVERED,
    L_INFLIGHT,
    L_LOST,
    L_LOST_TOTAL,
    L_NEW_EPISODE,
    L_NEXT_PACKET,
    L_NOW_NS,
    L_PACKET,
    L_PRIOR_INFLIGHT,
    L_TIMEOUT,
    L_TX_INFLIGHT,
    L_TX_LOST_TOTAL,
)
from sim.net.engine import monitor
from sim.net.engine.accounts import trace
from sim.net.engine.invoke import run_hook
from sim.net.engine.layout import (
    ACK_EVERY,
    ACK_PACKET,
    ACK_ROW,
    ATTRIBUTION,
    BACKOFF,
    DEADLINE,
    DELIVERED,
    DELIVERED_NS,
    DROPPED,
    FIRST_SENT,
    HAS_RTT,
    IN_RECOVERY,
    INFLIGHT,
    INTERVAL_ID,
    INTERVAL_LOST,
    INTERVAL_OPEN,
    LOSS_ROW,
    LOST_TOTAL,
    MEASURE_FROM,
    MIN_RTT,
    NEVER,
    NEXT_PACKET,
    ON_ACK,
    ON_INTERVAL,
    ON_LOSS,
    P_ACK_AT,
    P_DELIVERED,
    P_DELIVERED_NS,
    P_FIRST_SENT,
    P_INTERVAL,
    P_SENT,
    P_TX_INFLIGHT,
    P_TX_LOST,
    PENDING,
    RECOVERY_POINT,
    RETURN_NS,
    RTO_POINT,
    RTTVAR,
    SCAN,
    SPURIOUS,
    SRTT,
    TIMER,
    TOTALS_AT,
    V_UNSETTLED,
)
from sim.net.engine.receiver import acknowledge_pending, find_next_ack, slot
from sim.net.engine.sender import plan_send, retransmission_timeout
from sim.net.result import (
    ACKS,
    DECLARED_LOST,
    RTT_SUM_NS,
    T_ACK,
    T_LOST,
    T_TIMEOUT,
    TIMEOUTS,
)
from sim.net.result import SPURIOUS as SPURIOUS_TOTAL

LATER_PACKETS = 3
LARGEST_BACKOFF = 1 << 20  # far beyond the 60 s that cap the time-out; it only keeps it small


@njit(cache=True, forceinline=True)
def take_ack(w: Any, d: Any, flow: int, now: int) -> bool:
    """Handle the ACK that arrives now; return whether an interval was reported."""
    if w[flow + PENDING] and now == w[flow + DEADLINE] + w[flow + RETURN_NS]:
        acknowledge_pending(w, flow, w[flow + DEADLINE])
    prior_inflight = w[flow + INFLIGHT]
    newest, acked = _mark_acknowledged(w, flow, now)
    row = slot(w, flow, newest)
    rtt = now - w[row + P_SENT]
    _sample_rtt(w, d, flow, rtt)
    w[flow + DELIVERED] += acked
    w[flow + DELIVERED_NS] = now
    send_span = w[row + P_SENT] - w[row + P_FIRST_SENT]
    w[flow + FIRST_SENT] = w[row + P_SENT]
    totals = w[flow + TOTALS_AT]
    if now >= w[MEASURE_FROM]:
        w[totals + ACKS] += 1
        w[totals + RTT_SUM_NS] += rtt
    if newest >= w[flow + RECOVERY_POINT]:
        w[flow + IN_RECOVERY] = 0
    lost = w[flow + LOST_TOTAL]
    if w[flow + SCAN] + LATER_PACKETS <= newest:
        _find_losses(w, d, flow, newest, prior_inflight, now)
    if w[flow + ON_ACK]:
        event = w[ACK_ROW]
        d[event + A_NOW_NS] = now
        d[event + A_PACKET] = newest
        d[event + A_ACKED] = acked
        d[event + A_LOST] = w[flow + LOST_TOTAL] - lost
        d[event + A_RTT_NS] = rtt
        d[event + A_SRTT_NS] = d[flow + SRTT]
        d[event + A_MIN_RTT_NS] = w[flow + MIN_RTT]
        d[event + A_INFLIGHT] = w[flow + INFLIGHT]
        d[event + A_PRIOR_INFLIGHT] = prior_inflight
        d[event + A_DELIVERED] = w[flow + DELIVERED]
        d[event + A_PRIOR_DELIVERED] = w[row + P_DELIVERED]
        d[event + A_SAMPLE_NS] = max(send_span, now - w[row + P_DELIVERED_NS])
        d[event + A_TX_INFLIGHT] = w[row + P_TX_INFLIGHT]
        d[event + A_LOST_TOTAL] = w[flow + LOST_TOTAL]
        d[event + A_TX_LOST_TOTAL] = w[row + P_TX_LOST]
        d[event + A_IN_RECOVERY] = w[flow + IN_RECOVERY]
        d[event + A_NEXT_PACKET] = w[flow + NEXT_PACKET]
        run_hook(w, d, flow, ON_ACK, event)
    trace(w, d, now, T_ACK, flow, newest, rtt)
    w[flow + BACKOFF] = 1
    w[flow + TIMER] = NEVER
    if w[flow + INFLIGHT] > 0:
        w[flow + TIMER] = now + retransmission_timeout(w, d, flow)
    reported = False
    if w[flow + ATTRIBUTION] and w[flow + ON_INTERVAL]:
        reported = monitor.report_settled(w, d, flow, now)
    find_next_ack(w, flow)
    plan_send(w, d, flow, now)
    return reported


@njit(cache=True, forceinline=True)
def _mark_acknowledged(w: Any, flow: int, now: int) -> tuple[int, int]:
    """Take in every packet that the ACK covers; return the newest and their number."""
    packet = newest = w[flow + ACK_PACKET]
    stop = packet + 1 if w[flow + ACK_EVERY] == 1 else w[flow + NEXT_PACKET]
    acked = 0
    while packet < stop:
        row = slot(w, flow, packet)
        at = w[row + P_ACK_AT]
        if at != now and at != DROPPED:
            break
        if at == now:
            newest = packet
            acked += 1
            if packet < w[flow + RTO_POINT]:
                w[row + P_ACK_AT] = SPURIOUS
                if now >= w[MEASURE_FROM]:
                    w[w[flow + TOTALS_AT] + SPURIOUS_TOTAL] += 1
            else:
                w[flow + INFLIGHT] -= 1
                _settle(w, flow, row)
        packet += 1
    w[flow + ACK_PACKET] = newest + 1
    return newest, acked


@njit(cache=True)
def _settle(w: Any, flow: int, row: int) -> None:
    if w[flow + ATTRIBUTION] and w[flow + ON_INTERVAL]:
        w[monitor.open_interval(w, flow, w[row + P_INTERVAL]) + V_UNSETTLED] -= 1


@njit(cache=True, forceinline=True)
def _sample_rtt(w: Any, d: Any, flow: int, rtt: int) -> None:
    if w[flow + HAS_RTT]:
        error = abs(d[flow + SRTT] - rtt)
        d[flow + RTTVAR] = 0.75 * d[flow + RTTVAR] + 0.25 * error
        d[flow + SRTT] = 0.875 * d[flow + SRTT] + 0.125 * rtt
        w[flow + MIN_RTT] = min(w[flow + MIN_RTT], rtt)
        return
    w[flow + HAS_RTT] = 1
    d[flow + SRTT] = rtt
    d[flow + RTTVAR] = rtt / 2
    w[flow + MIN_RTT] = rtt


@njit(cache=True)
def _find_losses(w: Any, d: Any, flow: int, newest: int, prior_inflight: int, now: int) -> None:
    """Declare lost what three later packets have overtaken."""
    while w[flow + SCAN] + LATER_PACKETS <= newest:
        packet = w[flow + SCAN]
        row = slot(w, flow, packet)
        if w[row + P_ACK_AT] == DROPPED:
            new_episode = int(packet >= w[flow + RECOVERY_POINT])
            if new_episode:
                w[flow + IN_RECOVERY] = 1
                w[flow + RECOVERY_POINT] = w[flow + NEXT_PACKET]
            w[flow + INFLIGHT] -= 1
            w[flow + INTERVAL_LOST] += 1
            _settle(w, flow, row)
            _lose(w, d, flow, packet, 1, False, new_episode, prior_inflight, now)
        w[flow + SCAN] += 1


@njit(cache=True)
def _lose(
    w: Any,
    d: Any,
    flow: int,
    packet: int,
    lost: int,
    timeout: bool,
    new_episode: int,
    prior_inflight: int,
    now: int,
) -> None:
    row = slot(w, flow, packet)
    w[flow + LOST_TOTAL] += lost
    totals = w[flow + TOTALS_AT]
    if now >= w[MEASURE_FROM]:
        w[totals + DECLARED_LOST] += lost
        w[totals + TIMEOUTS] += timeout
    if w[flow + ON_LOSS]:
        event = w[LOSS_ROW]
        d[event + L_NOW_NS] = now
        d[event + L_PACKET] = packet
        d[event + L_LOST] = lost
        d[event + L_TIMEOUT] = timeout
        d[event + L_NEW_EPISODE] = new_episode
        d[event + L_INFLIGHT] = w[flow + INFLIGHT]
        d[event + L_PRIOR_INFLIGHT] = prior_inflight
        d[event + L_TX_INFLIGHT] = w[row + P_TX_INFLIGHT]
        d[event + L_LOST_TOTAL] = w[flow + LOST_TOTAL]
        d[event + L_TX_LOST_TOTAL] = w[row + P_TX_LOST]
        d[event + L_DELIVERED] = w[flow + DELIVERED]
        d[event + L_NEXT_PACKET] = w[flow + NEXT_PACKET]
        run_hook(w, d, flow, ON_LOSS, event)
    kind, value = (T_TIMEOUT, lost) if timeout else (T_LOST, w[flow + INFLIGHT])
    trace(w, d, now, kind, flow, packet, value)


@njit(cache=True)
def time_out(w: Any, d: Any, flow: int, now: int) -> bool:
    """Give up every packet in flight; return whether an interval was reported."""
    prior_inflight = w[flow + INFLIGHT]
    oldest = _oldest_in_flight(w, flow)
    w[flow + INFLIGHT] = 0
    w[flow + INTERVAL_LOST] += prior_inflight
    w[flow + RTO_POINT] = w[flow + SCAN] = w[flow + RECOVERY_POINT] = w[flow + NEXT_PACKET]
    w[flow + IN_RECOVERY] = 0
    w[flow + BACKOFF] = min(2 * w[flow + BACKOFF], LARGEST_BACKOFF)
    w[flow + TIMER] = NEVER
    _lose(w, d, flow, oldest, prior_inflight, True, 1, prior_inflight, now)
    reported = False
    if w[flow + ATTRIBUTION] and w[flow + ON_INTERVAL]:
        for number in range(w[flow + INTERVAL_OPEN], w[flow + INTERVAL_ID] + 1):
            w[monitor.open_interval(w, flow, number) + V_UNSETTLED] = 0
        reported = monitor.report_settled(w, d, flow, now)
    plan_send(w, d, flow, now)
    return reported


@njit(cache=True)
def _oldest_in_flight(w: Any, flow: int) -> int:
    packet = w[flow + SCAN]
    while packet < w[flow + ACK_PACKET]:
        if w[slot(w, flow, packet) + P_ACK_AT] == DROPPED:
            return packet
        packet += 1
    return packet
