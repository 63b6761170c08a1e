"""Compute-heavy and memory-heavy prefix groups dealt by turns: `interleave` that keeps sharing.

A group (`policies.ordering.groups`) is dealt as a whole, depth-first inside; its compute time
counts each shared prompt block once. BlendServe does not compare with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from policies.ordering.base import OneEnded, register
from policies.ordering.dealing import dealt
from policies.ordering.groups import PREFIX_TOKENS, prefix_groups
from serving.pool import PoolView
from serving.sharing import apportioned_tokens


@dataclass(frozen=True)
class InterleaveGroupsParameters:
    """`prefix_tokens`: shared tokens from which requests are a group, >= 1."""

    prefix_tokens: int = PREFIX_TOKENS


@register("interleave_groups")
class InterleaveGroups:
    """Groups dealt by density."""

    needs_estimates: ClassVar[bool] = True
    Parameters: ClassVar[type] = InterleaveGroupsParameters

    def __init__(self, parameters: InterleaveGroupsParameters | None = None) -> None:
        self._parameters = parameters or InterleaveGroupsParameters()

    def plan(self, view: PoolView, rng: np.random.Generator) -> OneEnded:
        """Return the groups as they are dealt."""
        del rng
        pool, output, resources = view.pool, view.estimated_output_tokens, view.resources
        groups = prefix_groups(pool, self._parameters.prefix_tokens)
        compute = groups.sums(resources.comp_s(apportioned_tokens(pool) + output))
        memory = groups.sums(resources.mem_s(pool.prompt_tokens, output))
        return OneEnded(groups.sequence(dealt(compute, memory)))
