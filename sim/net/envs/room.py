"""Room for the packets under way: arrays for all links, in which each link has a stretch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

FIRST_ROOM = 512
MOST_ROOM = 1 << 26
GAP = 24
"""Elements between stretches, so that links of equal room do not share sets of the cache."""


@njit(cache=True)
def _move(state: Any, bases: Any, old: Any, new: Any) -> None:
    for i in range(len(state)):
        if bases[i] >= 0:
            for j in range(state[i].room):
                new[bases[i] + j] = old[state[i].base + j]


class Room:
    """Stretches of `tapes`, one array per column; `base` and `room` of a link say which is its.

    A link that needs more moves to the end, where there is twice as much for it. When the arrays
    are full, all links move to new ones.
    """

    def __init__(self, state: Any, kinds: tuple[Any, ...]) -> None:
        """Give every link of `state` the same room, in an array per kind (empty where None)."""
        count = len(state)
        self.state, self.used = state, count * (FIRST_ROOM + GAP)
        state["room"] = FIRST_ROOM
        state["base"] = np.arange(count) * (FIRST_ROOM + GAP)
        self.tapes = tuple(np.empty(2 * self.used if k else 0, k or np.int64) for k in kinds)

    def grow(self, needy: Any) -> None:
        """Double the room of the links marked in `needy`.

        Raises:
            MemoryError: a link would hold more than MOST_ROOM packets.
        """
        state = self.state
        rooms = np.where(needy, 2, 1) * state["room"]
        if rooms.max() > MOST_ROOM:
            raise MemoryError(f"over {MOST_ROOM // 2} packets are under way; choose slower links")
        wider = self.tapes
        if self.used + (rooms + GAP)[needy].sum() > len(self.tapes[0]):
            self.used, needy = 0, np.ones(len(state), np.bool_)
            size = 2 * int((rooms + GAP).sum())
            wider = tuple(np.empty(size if len(t) else 0, t.dtype) for t in self.tapes)
        ends = self.used + np.cumsum((rooms + GAP) * needy)
        bases = np.where(needy, ends - rooms - GAP, -1)
        for old, new in zip(self.tapes, wider, strict=True):
            if len(old):
                _move(state, bases, old, new)
        self.tapes, self.used = wider, int(ends[-1])
        state["room"] = rooms
        state["base"][needy] = bases[needy]
