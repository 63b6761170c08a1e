"""Shortest request first: by estimated output, or by estimated work.

What schedulers for latency do. For the makespan of a pool it is the worst end of `longest_first`:
the long requests come last, when nothing is left to run beside them. BlendServe does not compare
with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from policies.ordering.base import OneEnded, register
from policies.ordering.longest_first import depth_first_among_equals
from serving.pool import PoolView


@dataclass(frozen=True)
class ShortestParameters:
    """`by`: "output", estimated output tokens, or "work", estimated Comp + Mem in seconds."""

    by: str = "output"

    def __post_init__(self) -> None:
        if self.by not in ("output", "work"):
            raise ValueError(f"by must be 'output' or 'work', got {self.by!r}")


@register("shortest_first")
class ShortestFirst:
    """Sorts by estimated length, ascending; depth-first order among equals."""

    needs_estimates: ClassVar[bool] = True
    Parameters: ClassVar[type] = ShortestParameters

    def __init__(self, parameters: ShortestParameters | None = None) -> None:
        self._parameters = parameters or ShortestParameters()

    def plan(self, view: PoolView, rng: np.random.Generator) -> OneEnded:
        """Return the requests by rising estimate."""
        del rng
        prompt, output = view.pool.prompt_tokens, view.estimated_output_tokens
        if self._parameters.by == "output":
            return OneEnded(depth_first_among_equals(view.pool, output))
        work = view.resources.comp_s(prompt + output) + view.resources.mem_s(prompt, output)
        return OneEnded(depth_first_among_equals(view.pool, work))
