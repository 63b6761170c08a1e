"""Prefix groups by falling estimated output, depth-first inside: longest first, sharing kept.

The longest-processing-time rule on groups instead of requests (`longest_first`); BlendServe does
not compare with it, though its pools hinge on when the few very long requests begin. What a group
is: `policies.ordering.groups`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from policies.ordering.base import OneEnded, register
from policies.ordering.groups import PREFIX_TOKENS, prefix_groups
from serving.pool import PoolView


@dataclass(frozen=True)
class LongestGroupsParameters:
    """How groups are cut and compared.

    Attributes:
        by: a group counts with the "longest" or the "mean" estimate of its requests.
        prefix_tokens: shared tokens from which requests are a group, >= 1.
    """

    by: str = "longest"
    prefix_tokens: int = PREFIX_TOKENS

    def __post_init__(self) -> None:
        if self.by not in ("longest", "mean"):
            raise ValueError(f"by must be 'longest' or 'mean', got {self.by!r}")


@register("dfs_longest_groups")
class DfsLongestGroups:
    """Sorts groups by longest or mean estimated output, descending."""

    needs_estimates: ClassVar[bool] = True
    Parameters: ClassVar[type] = LongestGroupsParameters

    def __init__(self, parameters: LongestGroupsParameters | None = None) -> None:
        self._parameters = parameters or LongestGroupsParameters()

    def plan(self, view: PoolView, rng: np.random.Generator) -> OneEnded:
        """Return the groups by falling output, depth-first order among equals."""
        del rng
        output = view.estimated_output_tokens
        groups = prefix_groups(view.pool, self._parameters.prefix_tokens)
        if self._parameters.by == "longest":
            length = groups.largest(output)
        else:
            length = groups.sums(output) / groups.sums(np.ones(output.size))
        return OneEnded(groups.sequence(np.argsort(-length, kind="stable")))
