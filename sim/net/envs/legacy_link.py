"""PCC-RL's network, one sender on one link, monitor interval by monitor interval.

The model (PCC-RL `src/gym/network_sim.py`, read there, written anew), in float64 seconds and
packets/s. A packet that is sent at t meets the scalar `queue`, a delay that decays in real time.
It travels `delay + queue` (its own service is not counted) and comes back over a link that only
adds `delay`. It is lost with probability `loss`, or if `1 / bandwidth + queue > most`; a lost
packet travels on and is reported when its ACK would have come. The next packet is sent
1 / rate later, the rate being that of this very moment. An interval ends with the first event
(sending, middle of the journey, report) at or after its planned end, and counts that event.

PCC-RL pops events from one heap. Here the three kinds are processed one after another, each in
its own order: within an interval none of them depends on the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from sim.net.envs.draws import chance, coin
from sim.net.envs.pairwise import mean

# Of the packets under way two columns are kept: `middles`, when they are half-way, and `travels`,
# the latency until there, negative if the packet is lost. [head, middle) are on the way back,
# [middle, tail) on the way there.
FIELDS = [
    *[(name, np.float64) for name in ("bandwidth", "delay", "most", "loss")],
    *[(name, np.float64) for name in ("queue", "updated", "rate", "next_send", "now", "end")],
    *[(name, np.float64) for name in ("duration", "mean", "increase", "least_mean", "planned")],
    *[(name, np.int64) for name in ("head", "middle", "tail", "open", "sent", "acked", "lost")],
    *[("losses", np.uint64), ("drawn", np.int64)],
]

UNLIMITED = 2**62


@njit(cache=True)
def first_of(time_a: float, travel_a: float, time_b: float, travel_b: float) -> bool:
    """Return whether event a is popped before b: by time, then latency, then whether it is lost."""
    if time_a != time_b:
        return time_a < time_b
    if abs(travel_a) != abs(travel_b):
        return abs(travel_a) < abs(travel_b)
    return travel_a > travel_b


@njit(cache=True)
def _order(middles: Any, travels: Any, first: int, last: int, delay: float) -> None:
    """Move packet `last` to its place in [first, last], by the time `delay` after the middle."""
    time, travel = middles[last], travels[last]
    sign = -delay if travel < 0.0 else delay
    place = last
    while place > first:
        other = travels[place - 1]
        others_sign = -delay if other < 0.0 else delay
        at = middles[place - 1] + delay
        if not first_of(time + delay, travel + sign, at, other + others_sign):
            break
        middles[place], travels[place] = middles[place - 1], other
        place -= 1
    middles[place], travels[place] = time, travel


@njit(cache=True)
def begin(link: Any, middles: Any, travels: Any) -> None:
    """Open an interval of `link.planned` seconds."""
    head = link.head
    live = link.tail - head
    if head > live:  # then moving costs less than was consumed since the last time
        for i in range(live):
            middles[i] = middles[head + i]
        for i in range(live):
            travels[i] = travels[head + i]
        link.middle -= head
        link.head, link.tail = 0, live
    link.duration = link.now  # holds the start until the end is known
    link.end = link.now + link.planned
    link.sent, link.acked, link.lost, link.open = 0, 0, 0, 1


@njit(cache=True)
def send_until(link: Any, middles: Any, travels: Any, end: float, most: int) -> bool:
    """Send what is due before `end`, at most `most` packets; False: no more room for packets."""
    time, queue, updated, tail = link.next_send, link.queue, link.updated, link.tail
    gap, service, loss = 1.0 / link.rate, 1.0 / link.bandwidth, chance(link.loss)
    room, middle, losses, delay = link.most, link.middle, link.losses, link.delay
    drawn, stop = np.uint64(link.drawn), tail + min(most, link.room - 1 - tail)
    before = tail
    while time < end and tail < stop:
        wait = max(0.0, queue - (time - updated))
        travel = delay + wait
        drawn += np.uint64(1)
        middles[tail], travels[tail] = time + travel, -travel
        # A branch: few are lost, so the next packet's wait need not wait for this draw.
        if coin(losses, drawn) >= loss:
            over = service + wait > room
            queue, updated = wait, time
            if not over:
                queue, travels[tail] = wait + service, travel
        if tail > middle and middles[tail] <= middles[tail - 1]:
            _order(middles, travels, middle, tail, 0.0)
        tail += 1
        time += gap
    link.next_send, link.queue, link.updated, link.tail = time, queue, updated, tail
    link.sent += tail - before
    link.drawn = np.int64(drawn)
    return tail < link.room - 1


@njit(cache=True)
def _turn_around(link: Any, middles: Any, travels: Any, end: float, most: int) -> None:
    """Let packets pass the middle of their journey before `end`, at most `most` of them."""
    head, middle, delay = link.head, link.middle, link.delay
    stop = min(link.tail, middle + most)
    while middle < stop and middles[middle] < end:
        # Two times that differ may be one after the delay was added; latency then decides.
        if middle > head and middles[middle] + delay == middles[middle - 1] + delay:
            _order(middles, travels, head, middle, delay)
        middle += 1
    link.middle = middle


@njit(cache=True)
def _report(link: Any, middles: Any, travels: Any, samples: int, end: float, most: int) -> None:
    """Count what is reported before `end`, at most `most` packets.

    RTTs are kept in `travels`, from `samples` on: places of packets that are done with.
    """
    head, delay, acked = link.head, link.delay, link.acked
    stop = min(link.middle, head + most)
    first = head
    while head < stop and middles[head] + delay < end:
        travel = travels[head]
        travels[samples + acked] = travel + delay  # of a lost one the next sample takes the place
        acked += travel > 0.0
        head += 1
    link.lost += (head - first) - (acked - link.acked)
    link.head, link.acked = head, acked


@njit(cache=True)
def _one_more(link: Any, middles: Any, travels: Any, samples: int) -> None:
    """Process the event that ends the interval: the next one, whatever it is."""
    never = np.inf
    half_way = middles[link.middle] if link.middle < link.tail else never
    back = middles[link.head] + link.delay if link.head < link.middle else never
    if half_way <= back and half_way <= link.next_send:
        link.now = half_way
        _turn_around(link, middles, travels, never, 1)
    elif back <= link.next_send:
        link.now = back
        _report(link, middles, travels, samples, never, 1)
    else:
        link.now = link.next_send
        send_until(link, middles, travels, never, 1)


# paper: symbolicpcc simulator
@njit(cache=True)
def run_interval(link: Any, middles: Any, travels: Any) -> bool:
    """Run the open interval to its end, and measure; False: make room and invoke it again.

    Sets `sent`, `acked`, `lost`, `duration`, `mean` and `increase` (s; 0 without samples).
    """
    if not send_until(link, middles, travels, link.end, UNLIMITED):
        return False
    samples = link.head
    _turn_around(link, middles, travels, link.end, UNLIMITED)
    _report(link, middles, travels, samples, link.end, UNLIMITED)
    _one_more(link, middles, travels, samples)
    link.duration = link.now - link.duration
    link.mean, link.increase, link.open = 0.0, 0.0, 0
    if link.acked > 0:
        link.mean = mean(travels, samples, link.acked)
    half = link.acked // 2
    if half > 0:
        later = mean(travels, samples + half, link.acked - half)
        link.increase = later - mean(travels, samples, half)
    return True
