"""`triptych/Pcc-v1` for many links at once: episodes, actions, observations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numba.np.numpy_support import carray

from policies.congestion.base import INTERVAL
from policies.congestion.steering import step_rate
from sim.net.engine.memory import floats, ints, offset
from sim.net.envs import pcc_features, pcc_interval, pcc_link
from sim.net.envs.bare import borrowed_floats, borrowed_ints, singles
from sim.net.envs.config import EnvConfig
from sim.net.envs.draws import LINK, LOSS, between, episode_stream
from sim.net.envs.episode import EPISODE, IDLE, STEP, WARM_UP
from sim.net.envs.pcc_features import feature, loss_ratio, receive_rate, remember, reward
from sim.net.envs.pcc_interval import run_during, run_sent
from sim.net.envs.pcc_link import lay, set_rate
from sim.net.envs.threads import claim

NAME = "triptych/Pcc-v1"
FEATURES = pcc_features.FEATURES
ROW = [("row", np.float64, (len(INTERVAL),))]
STATE = np.dtype(
    EPISODE + pcc_link.FIELDS + pcc_interval.FIELDS + pcc_features.FIELDS + ROW, align=True
)
ACTION_LIMIT = 1.0
DEFAULT = EnvConfig


def columns(config: EnvConfig) -> tuple[Any, ...]:
    """Return the kinds of the columns kept per packet; None: not needed."""
    by_packet = (np.int64, np.int64)
    if config.attribution == "sent":
        return (*by_packet, np.int64, np.int64, np.int64, np.float64)
    return (*by_packet, None, None, None, None)


def rate_unit_bps(packet_bytes: int) -> float:
    """Return what a rate of 1 means here: one bit per second."""
    return 1.0


@njit(cache=True)
def _draw(source: Any, index: int, low: float, high: float, logarithmic: int) -> float:
    if logarithmic:
        return np.exp(between(source, index, np.log(low), np.log(high)))
    return between(source, index, low, high)


@njit(cache=True)
def allowed_rate(rate_bps: float, capacity_bps: float, known: Any) -> float:
    """Return the rate brought into the range that actions may lead to on a link."""
    highest = min(known.rate_high, known.most_share * capacity_bps)
    return min(max(rate_bps, known.rate_low), highest)


@njit(cache=True)
def begin_episode(link: Any, known: Any) -> None:
    """Draw a link and put an idle network on it."""
    source = episode_stream(link.stream, link.episode, LINK)
    link.losses = episode_stream(link.stream, link.episode, LOSS)
    low, high = known.bandwidth_low, known.bandwidth_high
    capacity = int(_draw(source, 1, low, high, known.log_bandwidth) + 0.5)
    delay = int(_draw(source, 2, known.delay_low, known.delay_high, known.log_delay) * 1e9 + 0.5)
    packets = 1 + int(np.exp(between(source, 3, known.queue_low, known.queue_high)))
    loss = between(source, 4, known.loss_low, known.loss_high)
    lay(link, capacity, delay, packets, loss, int(known.packet_bits))
    first = between(source, 5, known.start_low, known.start_high) * capacity
    set_rate(link, allowed_rate(first, capacity, known), known.packet_bits)
    link.planned, link.now = known.first_interval_delays * delay, 0
    link.open, link.first, link.number, link.oldest = 0, 0, 0, 0
    link.mean_rtt = link.received = link.most_received = link.sending = 0.0
    link.episode += 1
    link.steps, link.left, link.phase = 0, known.warmup_intervals, WARM_UP


@njit(cache=True)
def _act(link: Any, action: float, known: Any) -> None:
    rate = step_rate(link.rate, action, known.delta)
    set_rate(link, allowed_rate(rate, link.capacity_bps, known), known.packet_bits)


@njit(cache=True)
def _run(link: Any, packets: Any, known: Any) -> bool:
    """Run the intervals that are left; False: there is no room."""
    while link.left > 0:
        if known.by_sent:
            done = run_sent(link, packets, known, link.row)
        else:
            done = run_during(link, packets, known, link.row)
        if not done:
            return False
        link.left -= 1
        remember(link, link.row, known)
        if link.mean_rtt > 0.0:
            link.planned = known.interval_rtts * link.mean_rtt
    return True


@njit(cache=True)
def _observe(link: Any, wanted: Any, bounds: Any, observation: Any) -> None:
    """Append the interval's features to the history."""
    width = len(wanted)
    kept = len(observation) - width
    for i in range(kept):
        observation[i] = observation[i + width]
    for i in range(width):
        value = feature(wanted[i], link, link.row)
        observation[kept + i] = min(max(value, bounds[0, i]), bounds[1, i])


@njit(cache=True)
def turn(link: Any, packets: Any, known: Any, wanted: Any, bounds: Any, out: Any) -> None:
    """Go on with what a link is doing until it is idle, or has no room."""
    observation, final = out
    if link.phase == STEP:
        if not _run(link, packets, known):
            return
        _observe(link, wanted, bounds, observation)
        link.reward, link.steps = reward(link, link.row, known, link), link.steps + 1
        link.measured_rate, link.throughput = link.rate, receive_rate(link.row, known)
        link.latency, link.loss_share = link.mean_rtt * 1e-9, loss_ratio(link.row)
        link.truncated, link.phase = link.steps >= known.steps, IDLE
        if link.truncated:
            final[:] = observation
            begin_episode(link, known)
    if link.phase == WARM_UP:
        if not _run(link, packets, known):
            return
        link.left, link.phase = 0, IDLE
        for i in range(len(observation)):
            observation[i] = bounds[2, i % len(wanted)]


@njit(cache=True)
def _one(link: Any, tapes: Any, action: float, stepped: bool, rest: Any, out: Any) -> None:
    known, wanted, bounds = rest
    if stepped:
        _act(link, action, known)
        link.left, link.phase = 1, STEP
    if link.phase != IDLE:
        sent, heard, starts, ends, counts, paces = tapes
        base = link.base
        packets = (
            offset(sent, base),
            offset(heard, base),
            offset(starts, base),
            offset(ends, base),
            offset(counts, base),
            offset(paces, base),
        )
        turn(link, packets, known, wanted, bounds, out)


@njit(cache=True, nogil=True)
def span(
    worker: int, taken: Any, state: Any, tapes: Any, actions: Any, rest: Any, outs: Any
) -> None:
    """Step the links by their actions, or, without, go on where there was no room; see `claim`."""
    rows, width, stepped = len(state), outs[0].shape[1], len(actions) > 0
    known, wanted, bounds = rest
    bare = (known[0], borrowed_ints(wanted), borrowed_floats(bounds))
    columns = (
        ints(tapes[0].ctypes.data),
        ints(tapes[1].ctypes.data),
        ints(tapes[2].ctypes.data),
        ints(tapes[3].ctypes.data),
        ints(tapes[4].ctypes.data),
        floats(tapes[5].ctypes.data),
    )
    seen, final = singles(outs[0].ctypes.data), singles(outs[1].ctypes.data)
    first, last = claim(worker, taken, rows)
    while first < last:
        for i in range(first, last):
            action = actions[i, 0] if stepped else 0.0
            out = carray(offset(seen, i * width), width), carray(offset(final, i * width), width)
            _one(state[i], columns, action, stepped, bare, out)
        first, last = claim(worker, taken, rows)


@njit(cache=True)
def start(state: Any, chosen: Any, known: Any) -> None:
    """Begin an episode on the chosen links; `span` without actions then warms them up."""
    for i in range(len(state)):
        if chosen[i]:
            begin_episode(state[i], known[0])


def describe(state: Any, known: Any) -> dict[str, Any]:
    """Return what the links of STATE[n] are, as arrays [n]."""
    return {
        "bandwidth_bps": state["capacity_bps"].astype(np.float64),
        "delay_s": state["delay"] * 1e-9,
        "queue_packets": state["limit"].copy(),
        "loss_probability": state["loss"].copy(),
    }
