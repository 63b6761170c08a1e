"""vLLM-DFS: depth-first order on vLLM's engine (BlendServe section 6.1).

The order is `prefix_dfs`; the preset `vllm` (experiments) brings sequential operators, vLLM V1's
rules with greedy admission and its defaults. The paper ran v0.6.3, whose older scheduler differs.
"""

from __future__ import annotations

from typing import ClassVar

from policies.ordering.base import register
from policies.ordering.prefix_dfs import PrefixDfs


@register("vllm_dfs")
class VllmDfs(PrefixDfs):
    """`prefix_dfs` on the preset `vllm`."""

    engine: ClassVar[str] = "vllm"
