"""One paced flow on one link, exactly as the packet engine has it: sending and hearing.

The model is docs/network-model.md with one drop-tail link of constant capacity, Bernoulli loss,
packets of one size, an infinite window and an ACK for every packet. Two things make it quick.
Departures from a busy link are `service` apart, so a queue of n packets is full exactly if the
link is busy for more than n services to come: no queue is kept. And while the rate stays, sending
does not depend on what is heard, so sends and ACKs are processed one after the other.

Of each packet two columns are kept, `sent` and `heard`: the ACK's time, 0 if the packet is dropped,
negative if a time-out gave it up before (a spurious ACK then).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from sim.net.envs.draws import uniform

FIELDS = [
    *[(name, np.int64) for name in ("capacity_bps", "service", "delay", "back", "limit")],
    *[("full", np.int64), ("loss", np.float64), ("base_rtt", np.int64)],  # full: limit x service
    *[("losses", np.uint64), ("drawn", np.int64)],
    *[("rate", np.float64), ("gap", np.int64), ("next_send", np.int64), ("busy", np.int64)],
    # Places in the columns: the next packet to send, and to hear of; all before `settled` are
    # acknowledged or declared lost; all before `given` were when a time-out gave them up.
    *[(name, np.int64) for name in ("tail", "next_heard", "settled", "given", "lost")],
    # The timer counts from `timer_set`; while it is off, the packet at `setter` will set it.
    *[(name, np.int64) for name in ("timer_on", "timer_set", "setter", "backoff")],
    *[("srtt", np.float64), ("rttvar", np.float64), ("min_rtt", np.int64)],  # min_rtt 0: none yet
]
MIN_RTO_NS = 200_000_000
FIRST_RTO_NS = 1_000_000_000
LONGEST_RTO_NS = 60_000_000_000
GRANULARITY_NS = 1_000_000.0
LONGEST_GAP_NS = 1e15
LARGEST_BACKOFF = 1 << 20
LATER_PACKETS = 3


@njit(cache=True)
def set_rate(link: Any, rate_bps: float, packet_bits: float) -> None:
    """Pace at `rate_bps` from the next send on."""
    link.rate = rate_bps
    link.gap = int(min(packet_bits * 1e9 / rate_bps + 0.5, LONGEST_GAP_NS))


@njit(cache=True)
def lay(link: Any, capacity_bps: int, delay_ns: int, limit: int, loss: float, bits: int) -> None:
    """Put an idle link and a sender that has sent nothing; the ACK path has the same delay."""
    link.capacity_bps, link.delay, link.back, link.limit = capacity_bps, delay_ns, delay_ns, limit
    link.service = (bits * 1_000_000_000 + capacity_bps - 1) // capacity_bps
    link.full, link.loss = limit * link.service, loss
    link.base_rtt = link.service + link.delay + link.back
    link.next_send, link.busy, link.drawn, link.tail, link.next_heard = 0, 0, 0, 0, 0
    link.settled, link.given, link.lost, link.timer_on, link.setter = 0, 0, 0, 0, 0
    link.timer_set, link.backoff, link.srtt, link.rttvar, link.min_rtt = 0, 1, 0.0, 0.0, 0


@njit(cache=True)
def send_until(link: Any, sent: Any, heard: Any, limit: int, place: int) -> bool:
    """Send all that is due before `limit`, and on until packet `place`; False: no more room."""
    time, busy, tail, room = link.next_send, link.busy, link.tail, len(sent)
    gap, service, full, loss = link.gap, link.service, link.full, link.loss
    way, losses, drawn = link.delay + link.back, link.losses, np.uint64(link.drawn)
    while (time < limit or tail < place) and tail < room:
        drawn += np.uint64(1)
        # Choices, not branches: which packets are lost cannot be predicted.
        fits = (uniform(losses, drawn) >= loss) & (busy - time <= full)
        done = max(busy, time) + service
        busy = done if fits else busy
        heard[tail] = done + way if fits else 0
        sent[tail] = time
        tail += 1
        time += gap
    link.next_send, link.busy, link.tail, link.drawn = time, busy, tail, np.int64(drawn)
    return not (time < limit or tail < place)


@njit(cache=True)
def _declare_lost(link: Any, heard: Any, newest: int) -> None:
    """Declare lost what three packets up to `newest` have overtaken."""
    place, lost = link.settled, 0
    while place <= newest - LATER_PACKETS:
        lost += heard[place] == 0
        place += 1
    link.settled, link.lost = place, link.lost + lost


@njit(cache=True)
def deadline(link: Any) -> int:
    """Return when the timer fires that was set last (RFC 6298, backed off after a time-out)."""
    rto = FIRST_RTO_NS
    if link.min_rtt > 0:
        rto = int(link.srtt + max(4.0 * link.rttvar, GRANULARITY_NS))
        rto = max(MIN_RTO_NS, rto)
    return link.timer_set + min(rto * link.backoff, LONGEST_RTO_NS)


@njit(cache=True)
def expire(link: Any, sent: Any, heard: Any, before: int) -> None:
    """Let every time-out before `before` happen; packets sent by then may set the timer anew."""
    while True:
        if not link.timer_on:
            if link.setter >= link.tail or sent[link.setter] >= before:
                return
            link.timer_on, link.timer_set = 1, sent[link.setter]
        at = deadline(link)
        if at >= before:
            return
        place = link.settled
        while place < link.tail and sent[place] < at:
            if heard[place] == 0:
                link.lost += 1
            elif place >= link.next_heard:
                heard[place] = -heard[place]
                link.lost += 1
            place += 1
        link.settled, link.given, link.setter, link.timer_on = place, place, place, 0
        link.backoff = min(2 * link.backoff, LARGEST_BACKOFF)


@njit(cache=True)
def _arm(link: Any, sent: Any, heard: Any, newest: int, now: int) -> bool:
    """After the ACK of `newest`: whether packets are in flight, so that the timer runs."""
    _declare_lost(link, heard, newest)
    following = max(newest + 1, link.settled)
    link.setter = following
    if following < link.tail and sent[following] < now:
        return True
    for place in range(link.settled, newest):
        if heard[place] == 0:
            return True
    return False


@njit(cache=True)
def _take(link: Any, sent: Any, heard: Any, first: int, stop: int) -> Any:
    """Take the RTTs of the packets of [first, stop) that arrived; return the newest, or -1."""
    srtt, rttvar, least, newest = link.srtt, link.rttvar, link.min_rtt, np.int64(-1)
    while least == 0 and first < stop:  # the first sample of the connection
        if heard[first] != 0:
            newest, least = first, abs(heard[first]) - sent[first]
            srtt, rttvar = np.float64(least), least / 2
        first += 1
    for place in range(first, stop):
        at = abs(heard[place])
        if at != 0:
            rtt = at - sent[place]
            sample = np.float64(rtt)
            rttvar = 0.75 * rttvar + 0.25 * abs(srtt - sample)
            srtt = 0.875 * srtt + 0.125 * sample
            least = min(least, rtt)
            newest = place
    link.srtt, link.rttvar, link.min_rtt = srtt, rttvar, least
    return newest


@njit(cache=True)
def hear_until(link: Any, sent: Any, heard: Any, limit: int) -> None:
    """Take in the ACKs up to time `limit`, and the time-outs before each."""
    first = place = link.next_heard
    tail, given, set_at, on = link.tail, link.given, link.timer_set, link.timer_on != 0
    while place < tail:
        at = abs(heard[place])
        if at == 0:
            place += 1
            continue
        if at > limit:
            break
        if not on or at - set_at > MIN_RTO_NS:  # no time-out is shorter
            _catch_up(link, sent, heard, first, place, set_at, on)
            expire(link, sent, heard, at)
            first, given = place, link.given
        set_at, on = at, True
        place += 1
        if place >= tail or sent[place] >= at or place < given:
            _catch_up(link, sent, heard, first, place, set_at, on)
            on = _arm(link, sent, heard, place - 1, at)
            link.timer_on, first = on, place
    _catch_up(link, sent, heard, first, place, set_at, on)


@njit(cache=True)
def _catch_up(
    link: Any, sent: Any, heard: Any, first: int, stop: int, set_at: int, on: bool
) -> None:
    """Take what the packets of [first, stop) tell into the state; the last ACK set the timer."""
    newest = _take(link, sent, heard, first, stop)
    if newest >= 0:
        _declare_lost(link, heard, newest)
        link.backoff = 1
    link.next_heard, link.timer_set, link.timer_on = stop, set_at, on


@njit(cache=True)
def make_way(link: Any, sent: Any, heard: Any, kept: int) -> int:
    """Move packets from `kept` on to the front, if that is worth it; return by how many places."""
    live = link.tail - kept
    if kept <= live:
        return 0
    for i in range(live):
        sent[i], heard[i] = sent[kept + i], heard[kept + i]
    link.tail -= kept
    link.next_heard -= kept
    link.settled -= kept
    link.given -= kept
    link.setter -= kept
    return kept
