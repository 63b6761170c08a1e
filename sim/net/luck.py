"""Random numbers of a run: one splitmix64 stream per link or flow, and purpose.

splitmix64 (Steele, Lea, Flood, OOPSLA 2014): the state advances by the golden gamma, and a
finaliser mixes it; the upper 53 bits are the number. Compiled code and `Stream` give identical
numbers. Seeds depend on the scenario's seed and identity and on the index of link or flow, never
on controllers, so that policies meet the same luck.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim import streams
from sim.net.scenario import Scenario

GAMMA = 0x9E3779B97F4A7C15
LINK_PURPOSES = ("loss", "red", "jitter")
FLOW_PURPOSES = ("gaps", "sizes", "periods", "controller")
_MASK = 2**64 - 1
_SCALE = 1.0 / 9007199254740992.0


@njit(cache=True)
def uniform(states: Any, i: int) -> float:
    """Return the next number of stream `i`, uniform in [0, 1); states is uint64[streams]."""
    states[i] += np.uint64(0x9E3779B97F4A7C15)
    z = states[i]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


class Stream:
    """The numbers of `uniform` for one seed, by Python's integers."""

    def __init__(self, seed: int) -> None:
        self._state = int(seed)

    def uniform(self) -> float:
        """Return the next number, uniform in [0, 1)."""
        self._state = z = (self._state + GAMMA) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) >> 11) * _SCALE


def seeds(scenario: Scenario) -> dict[str, NDArray[np.uint64]]:
    """Return purpose -> uint64[links] or uint64[flows]: where each stream begins.

    Seeds are below 2**63; those of controllers below 2**52, because a controller keeps its seed
    as a float64.
    """
    found = {p: _of(scenario, "link", len(scenario.links), p) for p in LINK_PURPOSES}
    found |= {p: _of(scenario, "flow", len(scenario.flows), p) for p in FLOW_PURPOSES}
    return found


def _of(scenario: Scenario, part: str, count: int, purpose: str) -> NDArray[np.uint64]:
    below = 2**52 if purpose == "controller" else 2**63
    drawn = np.zeros(count, np.uint64)
    for index in range(count):
        identity = {"scenario": dict(scenario.identity), part: index}
        drawn[index] = streams.stream(scenario.seed, identity, purpose).integers(0, below)
    return drawn
