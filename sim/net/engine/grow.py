"""More room: a ring that is full moves to the end of a larger arena."""

from __future__ import annotations

import numpy as np

from sim.net.engine import layout as at
from sim.net.engine.build import Arena
from sim.net.problems import ScenarioError

LARGEST_WORDS = 1 << 31
"""16 GiB."""


def grow(w: Arena, why: int) -> Arena:
    """Return a copy of the arena in which what WANTED names has at least twice the room.

    Raises:
        ScenarioError: the run would need more than 16 GiB.
    """
    wanted = int(w[at.WANTED])
    if why == at.GROW_TRACE:
        return _grow_trace(w)
    if why == at.GROW_QUEUE:
        codel = w[wanted + at.QUEUE_KIND] == at.CODEL
        width = at.QUEUED_WIDTH if codel else at.STARTS_WIDTH
        return _double(
            w, wanted + at.QUEUE, int(w[wanted + at.QUEUE_MASK]), width, at.QUEUE_MASK - at.QUEUE
        )
    if why == at.GROW_EXITS:
        mask = int(w[wanted + at.EXITS_MASK])
        return _double(w, wanted + at.EXITS, mask, at.QUEUED_WIDTH, at.EXITS_MASK - at.EXITS)
    mask = int(w[wanted + at.MASK])
    if w[wanted + at.INTERVALS]:
        w = _double(w, wanted + at.INTERVALS, mask, at.INTERVAL_WIDTH, None)
    return _double(w, wanted + at.PACKETS, mask, at.PACKET_WIDTH, at.MASK - at.PACKETS)


def _longer(w: Arena, words: int) -> Arena:
    if len(w) + words > LARGEST_WORDS:
        raise ScenarioError(
            "the run needs more than 16 GiB for packets in flight or its trace; make queue, "
            "delay or duration smaller"
        )
    return np.concatenate([w, np.zeros(words, np.int64)])


def _double(w: Arena, pointer: int, mask: int, width: int, mask_place: int | None) -> Arena:
    """Move a ring of mask + 1 rows to one of twice as many; row i keeps its number i."""
    rows, old, new = mask + 1, int(w[pointer]), len(w)
    w = _longer(w, 2 * rows * width)
    ring = w[old : old + rows * width]
    w[new : new + rows * width] = ring
    w[new + rows * width : new + 2 * rows * width] = ring
    w[pointer] = new
    if mask_place is not None:
        w[pointer + mask_place] = 2 * rows - 1
    return w


def _grow_trace(w: Arena) -> Arena:
    wanted, room = int(w[at.WANTED]), int(w[at.TRACE_ROOM])
    old, new = int(w[at.TRACE_RING]), len(w)
    count = int(w[at.TRACE_COUNT]) * at.TRACE_WIDTH
    is_flow = wanted >= w[at.FLOWS]
    more = 2 * room + int(w[wanted + (at.MASK if is_flow else at.QUEUE_MASK)])
    w = _longer(w, more * at.TRACE_WIDTH)
    w[new : new + count] = w[old : old + count]
    w[at.TRACE_RING], w[at.TRACE_ROOM] = new, more
    return w
