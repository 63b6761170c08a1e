"""Prefix groups in random order, depth-first inside: mixes demands and keeps what sharing is worth.

The simplest middle between a depth-first and a random order; BlendServe does not compare with it.
What a group is: `policies.ordering.groups`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from policies.ordering.base import OneEnded, register
from policies.ordering.groups import PREFIX_TOKENS, prefix_groups
from serving.pool import PoolView


@dataclass(frozen=True)
class RandomGroupsParameters:
    """`prefix_tokens`: shared tokens from which requests are a group, >= 1."""

    prefix_tokens: int = PREFIX_TOKENS


@register("random_groups")
class RandomGroups:
    """One uniform permutation of the groups per seed."""

    needs_estimates: ClassVar[bool] = False
    Parameters: ClassVar[type] = RandomGroupsParameters

    def __init__(self, parameters: RandomGroupsParameters | None = None) -> None:
        self._parameters = parameters or RandomGroupsParameters()

    def plan(self, view: PoolView, rng: np.random.Generator) -> OneEnded:
        """Return the groups in random order."""
        groups = prefix_groups(view.pool, self._parameters.prefix_tokens)
        return OneEnded(groups.sequence(rng.permutation(groups.count)))
