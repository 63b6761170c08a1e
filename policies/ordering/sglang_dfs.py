"""SGLang-DFS: depth-first order on SGLang's engine (BlendServe section 6.1).

Requests are served as they come, as SGLang does while more than 128 wait. The order is
`prefix_dfs`; the preset `sglang` (experiments) brings sequential operators and SGLang's rules.
`sglang_lpm` adds SGLang's own sorting of the waiting queue.
"""

from __future__ import annotations

from typing import ClassVar

from policies.ordering.base import register
from policies.ordering.prefix_dfs import PrefixDfs


@register("sglang_dfs")
class SglangDfs(PrefixDfs):
    """`prefix_dfs` on the preset `sglang`."""

    engine: ClassVar[str] = "sglang"
