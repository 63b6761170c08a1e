"""The gain over DFS by the share of memory given to the KV cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures import serving_gain_lines
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

AXIS = "memory.kv_fraction"


def draw(results: Results) -> Figure:
    """Draw throughput over DFS by KV memory."""
    return serving_gain_lines.draw(results, AXIS, "KV cache (share of 80 GB)")


def points(results: Results) -> pd.DataFrame:
    """Return the lines."""
    return serving_gain_lines.points(results, AXIS)
