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

from sim.net.envs.draws import chance, coin

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
OFF = -1
# Of ACKs that were not given up before: how many, the sum of their RTTs, the least of them.
NOTHING = (0, 0, 2**62)


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
    time, busy, tail, room = link.next_send, link.busy, link.tail, link.room
    gap, service, full, loss = link.gap, link.service, link.full, chance(link.loss)
    way, losses, drawn = link.delay + link.back, link.losses, np.uint64(link.drawn)
    while (time < limit or tail < place) and tail < room:
        drawn += np.uint64(1)
        # Choices, not branches: which packets are lost cannot be predicted.
        fits = (coin(losses, drawn) >= loss) & (busy - time <= full)
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
def hear_until(link: Any, sent: Any, heard: Any, limit: int) -> Any:
    """Take in the ACKs up to time `limit`, and the time-outs before each; return their tally."""
    place, tail, given, newest = link.next_heard, link.tail, link.given, -1
    srtt, rttvar, shortest = link.srtt, link.rttvar, link.min_rtt
    due = link.timer_set + MIN_RTO_NS if link.timer_on else OFF  # no time-out is sooner
    samples, total, least = NOTHING
    while place < tail:
        fate = heard[place]
        at = abs(fate)
        if at == 0:
            place += 1
            continue
        if at > limit:
            break
        if at > due:
            _store(link, heard, newest, place, due, (srtt, rttvar, shortest))
            expire(link, sent, heard, at)
            fate, given, newest = heard[place], link.given, -1
        rtt = at - sent[place]
        sample = np.float64(rtt)
        if shortest == 0:  # the first of the connection
            srtt, rttvar, shortest = sample, rtt / 2, rtt
        else:
            rttvar = 0.75 * rttvar + 0.25 * abs(srtt - sample)
            srtt = 0.875 * srtt + 0.125 * sample
            shortest = min(shortest, rtt)
        good = fate > 0
        samples += good
        total += rtt if good else 0
        least = min(least, rtt if good else least)
        newest, due = place, at + MIN_RTO_NS
        place += 1
        if place >= tail or sent[place] >= at or place < given:
            _store(link, heard, newest, place, due, (srtt, rttvar, shortest))
            link.timer_on = _arm(link, sent, heard, newest, at)
            due, newest = due if link.timer_on else OFF, -1
    _store(link, heard, newest, place, due, (srtt, rttvar, shortest))
    return samples, total, least


@njit(cache=True)
def _store(link: Any, heard: Any, newest: int, stop: int, due: int, estimates: Any) -> None:
    """Put what was heard before `stop` into the state; `newest`: the last ACK, -1 without."""
    link.srtt, link.rttvar, link.min_rtt = estimates
    if newest >= 0:
        _declare_lost(link, heard, newest)
        link.backoff = 1
    link.next_heard, link.timer_on = stop, due != OFF
    if due != OFF:
        link.timer_set = due - MIN_RTO_NS


@njit(cache=True)
def make_way(link: Any, sent: Any, heard: Any, kept: int) -> int:
    """Move packets from `kept` on to the front, if that is worth it; return by how many places."""
    live = link.tail - kept
    if kept <= live:
        return 0
    for i in range(live):
        sent[i] = sent[kept + i]
    for i in range(live):
        heard[i] = heard[kept + i]
    link.tail -= kept
    link.next_heard -= kept
    link.settled -= kept
    link.given -= kept
    link.setter -= kept
    return kept
