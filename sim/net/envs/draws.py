"""Random numbers of the environments: splitmix64 by position, so that nothing is shared.

The i-th number of a stream is a function of (stream, i) alone (Steele, Lea, Flood, OOPSLA 2014),
as in `policies.congestion.hooks.draw`. An environment has one stream for its whole life; each
episode has two of its own, for its link and for its losses. So what an episode meets depends on
neither actions nor the environments beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from sim.streams import stream

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST = np.uint64(0xBF58476D1CE4E5B9)
SECOND = np.uint64(0x94D049BB133111EB)
LINK, LOSS = np.uint64(0), np.uint64(1)


def environment_stream(seed: int, environment: str, index: int) -> np.uint64:
    """Return the stream of the environment number `index` of those that `seed` makes."""
    identity = {"environment": environment, "index": index}
    return stream(seed, identity, "episodes").integers(0, 2**64, dtype=np.uint64)


@njit(cache=True)
def bits(start: Any, index: Any) -> Any:
    """Return the uint64 number `index` (1, 2, ...) of the stream `start` (both uint64)."""
    z = start + index * GOLDEN
    z = (z ^ (z >> np.uint64(30))) * FIRST
    z = (z ^ (z >> np.uint64(27))) * SECOND
    return z ^ (z >> np.uint64(31))


@njit(cache=True)
def uniform(start: Any, index: Any) -> float:
    """Return the number `index` of the stream as a float64 in [0, 1)."""
    return np.float64(bits(start, np.uint64(index)) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True)
def chance(probability: float) -> Any:
    """Return the uint64 that `coin` is below with a probability in [0, 1]."""
    return np.uint64(np.ceil(probability * 9007199254740992.0))


@njit(cache=True)
def coin(start: Any, index: Any) -> Any:
    """Return a uint64 that is below `chance(p)` exactly where `uniform` is below p."""
    return bits(start, index) >> np.uint64(11)


@njit(cache=True)
def episode_stream(start: Any, episode: int, purpose: Any) -> Any:
    """Return the stream (uint64) of an episode (0, 1, ...) for LINK or LOSS."""
    return bits(start, np.uint64(2) * np.uint64(episode) + purpose + np.uint64(1))


@njit(cache=True)
def between(start: Any, index: int, low: float, high: float) -> float:
    """Return the number `index` of the stream, uniform in [low, high)."""
    return low + (high - low) * uniform(start, index)
