"""BatchLLM's order: groups of one shared prefix, the ones with most decoding first.

After BatchLLM (arXiv 2412.03594, MLSys '26). From the paper: the prefixes of the whole batch are
known beforehand and compressed to a single level by dynamic programming, requests that share one
are scheduled together, groups follow by falling ratio of decoding to prompt, so that decoding
mixes with the prefill of later groups, and memory rather than a number of requests limits a batch.

Choices: its program decides bottom-up, child by grandchild; `one_level` finds the most that one
level can save. A group's ratio is the sum of estimated outputs over the sum of prompt tokens,
the shared prefix counted once; requests without a group stand for themselves. Inside a group the
order is depth-first, so that an engine with a general prefix cache still finds what the single
level gives up. The engine is the manifest's: give it seats enough, and an admission by memory,
as the predicted peak is. BatchLLM's fused attention kernel is not modelled.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from policies.ordering.base import OneEnded, register
from policies.ordering.groups import Groups
from policies.ordering.one_level import one_level
from serving.density import ratio
from serving.pool import PoolView
from serving.tree import build_tree


@register("batchllm")
class BatchLlm:
    """One level of prefix groups by falling decode-to-prompt ratio."""

    needs_estimates: ClassVar[bool] = True

    def plan(self, view: PoolView, rng: np.random.Generator) -> OneEnded:
        """Return the groups one after the other."""
        del rng
        pool, tree = view.pool, build_tree(view.pool)
        nearest, _ = one_level(tree)
        node = nearest[tree.node_of_request]
        groups = Groups.of(tree, np.where(node > 0, node, -1))
        prefix = groups.largest((tree.depth_blocks[node] * pool.block_tokens).astype(np.float64))
        members = groups.sums(np.ones(len(pool)))
        prompt = groups.sums(pool.prompt_tokens) - (members - 1) * prefix
        falling = np.argsort(
            -ratio(groups.sums(view.estimated_output_tokens), prompt), kind="stable"
        )
        return OneEnded(groups.sequence(falling))
