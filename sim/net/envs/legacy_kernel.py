"""`triptych/PccLegacy-v0` for many links at once: episodes, actions, observations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numba.np.numpy_support import carray

from sim.net.engine.memory import floats, offset
from sim.net.envs import legacy_features
from sim.net.envs.bare import borrowed_floats, borrowed_ints, singles
from sim.net.envs.config import EnvConfig
from sim.net.envs.draws import LINK, LOSS, between, episode_stream
from sim.net.envs.episode import EPISODE, IDLE, STEP, WARM_UP
from sim.net.envs.legacy_features import feature, reward
from sim.net.envs.legacy_link import FIELDS, begin, run_interval
from sim.net.envs.threads import claim

NAME = "triptych/PccLegacy-v0"
FEATURES = legacy_features.FEATURES
STATE = np.dtype(EPISODE + FIELDS, align=True)
ACTION_LIMIT = 1e12
DEFAULT = EnvConfig.legacy


def columns(config: EnvConfig) -> tuple[Any, ...]:
    """Return the kinds of the columns kept per packet."""
    return (np.float64, np.float64)


@njit(cache=True)
def begin_episode(link: Any, known: Any) -> None:
    """Draw a link and put an idle network on it."""
    source = episode_stream(link.stream, link.episode, LINK)
    link.losses = episode_stream(link.stream, link.episode, LOSS)
    link.bandwidth = between(source, 1, known.bandwidth_low, known.bandwidth_high)
    link.delay = between(source, 2, known.delay_low, known.delay_high)
    packets = 1 + int(np.exp(between(source, 3, known.queue_low, known.queue_high)))
    link.most = packets / link.bandwidth
    link.loss = between(source, 4, known.loss_low, known.loss_high)
    link.rate = between(source, 5, known.start_low, known.start_high) * link.bandwidth
    link.planned = known.first_interval_delays * link.delay
    link.queue, link.updated, link.now, link.next_send = 0.0, 0.0, 0.0, 1.0 / link.rate
    link.least_mean, link.drawn = 0.0, 0
    link.head, link.middle, link.tail, link.open = 0, 0, 0, 0
    link.episode += 1
    link.steps, link.left, link.phase = 0, known.warmup_intervals, WARM_UP


@njit(cache=True)
def _act(link: Any, action: float, known: Any) -> None:
    change = action * known.delta
    rate = link.rate * (1.0 + change) if change >= 0.0 else link.rate / (1.0 - change)
    link.rate = min(max(rate, known.rate_low), known.rate_high)


@njit(cache=True)
def _run(link: Any, middles: Any, travels: Any) -> bool:
    """Run the intervals that are left; False: there is no room."""
    while link.left > 0:
        if not link.open:
            begin(link, middles, travels)
        if not run_interval(link, middles, travels):
            return False
        link.left -= 1
    return True


@njit(cache=True)
def _observe(link: Any, known: Any, wanted: Any, bounds: Any, observation: Any) -> None:
    """Append the interval's features to the history, and plan the next interval."""
    if link.mean > 0.0:
        if link.least_mean == 0.0 or link.mean < link.least_mean:
            link.least_mean = link.mean
        link.planned = known.interval_rtts * link.mean
    width = len(wanted)
    kept = len(observation) - width
    for i in range(kept):
        observation[i] = observation[i + width]
    for i in range(width):
        value = feature(wanted[i], link, known.packet_bits)
        observation[kept + i] = min(max(value, bounds[0, i]), bounds[1, i])


@njit(cache=True)
def turn(link: Any, middles: Any, travels: Any, known: Any, wanted: Any, bounds: Any, out: Any):
    """Go on with what a link is doing until it is idle, or has no room."""
    observation, final = out
    if link.phase == STEP:
        if not _run(link, middles, travels):
            return
        _observe(link, known, wanted, bounds, observation)
        link.reward, link.steps = reward(link, known), link.steps + 1
        link.measured_rate = link.rate * known.packet_bits
        link.throughput = link.acked * known.packet_bits / link.duration
        link.latency, link.loss_share = link.mean, legacy_features.loss_ratio(link)
        link.truncated, link.phase = link.steps >= known.steps, IDLE
        if link.truncated:
            final[:] = observation
            begin_episode(link, known)
    if link.phase == WARM_UP:
        if not _run(link, middles, travels):
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
        middles, travels = tapes
        base = link.base
        turn(link, offset(middles, base), offset(travels, base), known, wanted, bounds, out)


@njit(cache=True, nogil=True)
def span(
    worker: int, taken: Any, state: Any, tapes: Any, actions: Any, rest: Any, outs: Any
) -> None:
    """Step the links by their actions, or, without, go on where there was no room; see `claim`."""
    rows, width, stepped = len(state), outs[0].shape[1], len(actions) > 0
    known, wanted, bounds = rest
    bare = (known[0], borrowed_ints(wanted), borrowed_floats(bounds))
    columns = (floats(tapes[0].ctypes.data), floats(tapes[1].ctypes.data))
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


def rate_unit_bps(packet_bytes: int) -> float:
    """Return what a rate of 1 means here: one packet per second."""
    return 8.0 * packet_bytes


def describe(state: Any, known: Any) -> dict[str, Any]:
    """Return what the links of STATE[n] are, as arrays [n]."""
    return {
        "bandwidth_bps": state["bandwidth"] * known["packet_bits"],
        "delay_s": state["delay"].copy(),
        "queue_packets": np.rint(state["most"] * state["bandwidth"]).astype(np.int64),
        "loss_probability": state["loss"].copy(),
    }
