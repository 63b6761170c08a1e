"""BlendServe: a density-sorted prefix tree, scanned from both ends (ASPLOS '26, section 5).

1. Sort (Algorithm 1): children of every node by falling density; only siblings change places.
2. Split: `relocate` moves outliers to the root as the text says, `cut` parts the tree into units
   as Algorithm 2 does, both within t, the tokens that keep `keep_sharing` of the sharing.
3. Units: which density the scanner sees, and merged nodes (`units`).
4. Scan: the dual scanner admits from the left and from the right (`dual_scan`).

Every part can be left out or changed by a parameter; the manifests `blendserve/ablation-*` do.

Defaults were chosen on the paper's mixes #1 and #2 alone. There neither form of the split moves
throughput by more than 0.2 %, so it is the text's, the one that acts on outliers; nodes, as the
paper's scanner sees, do as well as requests. Prefill budgets are on, as in Algorithm 3: they let
long requests begin one after the other rather than all at once, which pays in pools of the paper's
size and costs in small ones. Relocation is off, for it brings nothing sure.
`docs/blendserve-choices.md` has the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from policies.ordering.base import OneEnded, TwoEnded, register
from policies.ordering.density_sort import Densities
from policies.ordering.dual_scan import relocation_limits, split_memory
from policies.ordering.split_cut import cut_into_units
from policies.ordering.split_relocate import relocate_outliers
from policies.ordering.units import merged_nodes, nodes_of, unit_density
from serving.cuts import allowed_loss_tokens, computed_tokens
from serving.density import ratio
from serving.pool import PoolView
from serving.tree import dfs_order, nothing_loose

WORDS = {
    "split": ("none", "relocate", "cut"),
    "unit": ("request", "node"),
    "scan": ("dual", "fixed", "left"),
    "charge": ("whole", "shared"),
}


@dataclass(frozen=True)
class Parameters:
    """What can be left out or changed.

    Attributes:
        sort: children by falling density; without it subtrees keep the pool's order.
        split: "none", "relocate" (the text's form) or "cut" (Algorithm 2); both need `sort`.
        keep_sharing: share of the maximal sharing that splits must keep, in [0, 1].
        unit: the scanner sees the density of the "request" at its place or of its "node".
        merge: with `unit` "node", nodes are merged where that does not hurt sharing.
        scan: "dual"; "fixed": the split of the memory stays as it is at the start; "left":
            admitted in sequence, from the left only.
        budgets: enforce the prefill budgets C_L and C_R.
        relocate: a request of the left that has given so many times its estimate is booked under
            the right; 0: never, else >= 1.
        charge: a request's footprint counts its "whole" prompt, as the paper's N does, or shared
            blocks as "shared" among those who use them.
    """

    sort: bool = True
    split: str = "relocate"
    keep_sharing: float = 0.99
    unit: str = "node"
    merge: bool = True
    scan: str = "dual"
    budgets: bool = True
    relocate: float = 0.0
    charge: str = "whole"

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: one is not allowed, or splits are asked for without the sort.
        """
        for name, allowed in WORDS.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"blendserve: {name} must be one of {', '.join(allowed)},"
                    f" got {getattr(self, name)!r}"
                )
        if not 0.0 <= self.keep_sharing <= 1.0:
            raise ValueError(f"blendserve: keep_sharing must be in [0, 1], got {self.keep_sharing}")
        if not (self.relocate == 0 or 1 <= self.relocate < 1e6):
            raise ValueError(f"blendserve: relocate must be 0 or >= 1, got {self.relocate}")
        if self.split != "none" and not self.sort:
            raise ValueError("blendserve: split needs sort; set split to none")


@register("blendserve")
class BlendServe:
    """Sorted and split tree, dual scan."""

    needs_estimates: ClassVar[bool] = True
    Parameters: ClassVar[type[Parameters]] = Parameters

    def __init__(self, parameters: Parameters | None = None) -> None:
        self.parameters = parameters or Parameters()

    def plan(self, view: PoolView, rng: np.random.Generator) -> OneEnded | TwoEnded:
        """Return the plan; two-ended unless `scan` is "left"."""
        del rng
        densities = Densities.of(view)
        loose = self.split(densities)
        order = self._sequence(densities, loose)
        if self.parameters.scan == "left":
            return OneEnded(order)
        return self._scan(densities, loose, order)

    def split(self, densities: Densities) -> NDArray[np.bool_]:
        """Return bool[k + n], the items of the tree that are cut loose."""
        pool, tree, wanted = densities.view.pool, densities.tree, self.parameters
        if wanted.split == "none":
            return nothing_loose(tree)
        budget = allowed_loss_tokens(pool, wanted.keep_sharing)
        if wanted.split == "cut":
            return cut_into_units(tree, pool.block_tokens, budget)
        return relocate_outliers(densities, budget)

    def _sequence(self, densities: Densities, loose: NDArray[np.bool_]) -> NDArray[np.int64]:
        return densities.sorted_order(loose) if self.parameters.sort else dfs_order(densities.tree)

    def _scan(
        self, densities: Densities, loose: NDArray[np.bool_], order: NDArray[np.int64]
    ) -> TwoEnded:
        """Return the sequence with what the scanners must know of each place."""
        view, wanted = densities.view, self.parameters
        pool, output = view.pool, view.estimated_output_tokens
        prompt = computed_tokens(densities.tree, pool, loose)
        compute, memory = view.resources.comp_s(prompt + output), densities.memory_s
        held = pool.prompt_tokens if wanted.charge == "whole" else prompt
        footprint = np.ceil(held + 0.5 * output).astype(np.int64)[order]
        density = ratio(compute, memory)[order]
        if wanted.unit == "node":
            unit = self._units(densities, order, footprint)
            density = unit_density(unit, compute[order], memory[order])
        root = float(ratio(compute.sum(), memory.sum()))
        fixed = None
        if wanted.scan == "fixed" and order.size:
            fixed = split_memory(1.0, float(density[0]), float(density[-1]), root)[0]
        return TwoEnded(
            order,
            density,
            footprint,
            root,
            output_tokens=output[order] if wanted.budgets else None,
            relocate_at=relocation_limits(output, wanted.relocate)[order],
            fixed_left_share=fixed,
        )

    def _units(
        self, densities: Densities, order: NDArray[np.int64], footprint: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        if not self.parameters.merge:
            return nodes_of(densities.tree, order)
        view = densities.view
        capacity = view.kv_capacity_tokens
        return merged_nodes(densities.tree, view.pool, order, footprint, capacity)
