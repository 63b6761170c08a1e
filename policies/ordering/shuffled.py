"""A uniformly random order: mixes demands well and forgets prefixes.

The order of BlendServe's NanoFlow-Balance baseline (section 6.1), on whatever engine the manifest
sets; `nanoflow_balance` is the same order on NanoFlow's engine.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from policies.ordering.base import OneEnded, register
from serving.pool import PoolView


@register("shuffled")
class Shuffled:
    """One uniform permutation per seed."""

    needs_estimates: ClassVar[bool] = False

    def plan(self, view: PoolView, rng: np.random.Generator) -> OneEnded:
        """Return a random permutation."""
        return OneEnded(rng.permutation(len(view.pool)))
