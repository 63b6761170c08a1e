"""BlendServe's sort of the prefix tree by density (section 5.2, Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.density import ratio
from serving.pool import PoolView
from serving.sharing import node_density
from serving.tree import PrefixTree, build_tree, dfs_order


# paper: blendserve 5.2; blendserve alg 1
@dataclass(frozen=True, eq=False)
class Densities:
    """A pool's tree, with what each request takes if it shares nothing.

    Attributes:
        tree: k nodes.
        compute_s: float64[n], T_comp of the whole request.
        memory_s: float64[n], T_mem.
    """

    view: PoolView
    tree: PrefixTree
    compute_s: NDArray[np.float64]
    memory_s: NDArray[np.float64]

    @classmethod
    def of(cls, view: PoolView) -> Densities:
        """Build the tree and compute both times from the estimated lengths."""
        prompt, output = view.pool.prompt_tokens, view.estimated_output_tokens
        compute, memory = (
            view.resources.comp_s(prompt + output),
            view.resources.mem_s(prompt, output),
        )
        return cls(view, build_tree(view.pool), compute, memory)

    def sorted_order(self, loose: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Return int64[n], depth-first with the children of every node by falling density.

        A request counts as a leaf with its whole prompt; only siblings change places, and equals
        keep the pool's order. `loose` items are sorted among the children of the root.
        """
        view = self.view
        nodes = node_density(
            self.tree, view.pool, view.estimated_output_tokens, view.resources, loose
        )
        return dfs_order(self.tree, -nodes, -ratio(self.compute_s, self.memory_s), loose)
