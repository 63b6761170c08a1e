"""What one step of an engine did, in the same words for the simulator and for vLLM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

STEP_NS = 1000
"""Length of a step where only the composition counts: arrivals come at multiples of it."""


class Row(NamedTuple):
    """One step's composition; requests are places in the pool.

    Attributes:
        step: its number; steps in which nothing runs count too.
        scheduled: (request, tokens, tokens computed before), in the engine's order.
        admitted: (request, tokens hit in the cache, 1 if it resumes after a preemption).
        preempted: requests, in that order.
        finished: requests that got their last token.
        running: requests after scheduling; `waiting` likewise, arrived ones only.
        waiting: see above.
        kv_blocks: KV blocks in use then.
    """

    step: int
    scheduled: tuple[tuple[int, int, int], ...]
    admitted: tuple[tuple[int, int, int], ...]
    preempted: tuple[int, ...]
    finished: tuple[int, ...]
    running: int
    waiting: int
    kv_blocks: int

    @classmethod
    def of(cls, found: dict[str, Any]) -> Row:
        """Return the row that vLLM's process told.

        Raises:
            ValueError: a field is missing or no list of whole numbers.
        """
        try:
            return cls(
                int(found["step"]),
                _triples(found["scheduled"]),
                _triples(found["admitted"]),
                tuple(int(r) for r in found["preempted"]),
                tuple(int(r) for r in found["finished"]),
                int(found["running"]),
                int(found["waiting"]),
                int(found["kv_blocks"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a step that vLLM's process told is damaged: {error!r}") from None


def _triples(found: Sequence[Sequence[int]]) -> tuple[tuple[int, int, int], ...]:
    return tuple((int(a), int(b), int(c)) for a, b, c in found)


def first_difference(simulated: Sequence[Row], real: Sequence[Row]) -> str | None:
    """Return where two runs part, in one line; None if they are equal."""
    for ours, theirs in zip(simulated, real, strict=False):
        for name in Row._fields:
            a, b = getattr(ours, name), getattr(theirs, name)
            if a != b:
                return f"step {theirs.step}, {name}: simulated {a}, vLLM {b}"
    if len(simulated) != len(real):
        return f"simulated {len(simulated)} steps, vLLM {len(real)}"
    return None
