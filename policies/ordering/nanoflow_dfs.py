"""NanoFlow-DFS: depth-first order on NanoFlow's engine (BlendServe section 6.1).

The order is `prefix_dfs`; the preset `nanoflow` (experiments) brings admission by predicted peak
memory and leaves the rest to the manifest. Needing no estimates, it predicts with the pool's mean
output, as NanoFlow does.
"""

from __future__ import annotations

from typing import ClassVar

from policies.ordering.base import register
from policies.ordering.prefix_dfs import PrefixDfs


@register("nanoflow_dfs")
class NanoflowDfs(PrefixDfs):
    """`prefix_dfs` on the preset `nanoflow`."""

    engine: ClassVar[str] = "nanoflow"
