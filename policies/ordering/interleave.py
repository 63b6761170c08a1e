"""Compute-heavy and memory-heavy requests dealt by turns, without a prefix tree.

The plainest resource-aware order: sort by density, deal from both ends (`dealing`). It looks at
each request alone and forgets prefixes. It balances what is admitted, not what runs together: a
long request's memory time is spent long after its admission, which BlendServe's accounts of
running requests see and this does not. BlendServe does not compare with it.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from policies.ordering.base import OneEnded, register
from policies.ordering.dealing import dealt
from serving.pool import PoolView


@register("interleave")
class Interleave:
    """Requests dealt by density."""

    needs_estimates: ClassVar[bool] = True

    def plan(self, view: PoolView, rng: np.random.Generator) -> OneEnded:
        """Return the requests as they are dealt."""
        del rng
        prompt, output = view.pool.prompt_tokens, view.estimated_output_tokens
        resources = view.resources
        return OneEnded(dealt(resources.comp_s(prompt + output), resources.mem_s(prompt, output)))
