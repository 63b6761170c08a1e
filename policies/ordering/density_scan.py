"""Requests sorted by density and scanned from both ends: BlendServe without its tree.

The dual scanner of BlendServe (section 5.3) over a plain sort, so that what the prefix tree is
worth can be told apart from what the scanner is worth. Densities are each request's own, with
shared prompt blocks split among their users (`blendserve` shows its scanner nodes, by default);
prefill budgets are enforced as there. Requests of equal density stay in depth-first order; beyond
that prefixes are ignored. BlendServe does not compare with it.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from policies.ordering.base import TwoEnded, register
from policies.ordering.longest_first import depth_first_among_equals
from serving.density import ratio
from serving.pool import PoolView
from serving.sharing import apportioned_tokens


@register("density_scan")
class DensityScan:
    """Plain sort and dual scan."""

    needs_estimates: ClassVar[bool] = True

    def plan(self, view: PoolView, rng: np.random.Generator) -> TwoEnded:
        """Return the two-ended plan."""
        del rng
        pool, output, resources = view.pool, view.estimated_output_tokens, view.resources
        compute = resources.comp_s(apportioned_tokens(pool) + output)
        memory = resources.mem_s(pool.prompt_tokens, output)
        density = ratio(compute, memory)
        order = depth_first_among_equals(pool, -density)
        footprint = pool.prompt_tokens + np.ceil(output / 2).astype(np.int64)
        root = float(ratio(compute.sum(), memory.sum()))
        return TwoEnded(order, density[order], footprint[order], root, output[order])
