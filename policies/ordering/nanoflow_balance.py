"""NanoFlow-Balance: a random order on NanoFlow's engine (BlendServe section 6.1).

The order is `shuffled`; the preset is that of `nanoflow_dfs`.
"""

from __future__ import annotations

from typing import ClassVar

from policies.ordering.base import register
from policies.ordering.shuffled import Shuffled


@register("nanoflow_balance")
class NanoflowBalance(Shuffled):
    """`shuffled` on the preset `nanoflow`."""

    engine: ClassVar[str] = "nanoflow"
