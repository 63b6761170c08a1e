"""The gain over DFS by the number of requests in the pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures import serving_gain_lines
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

AXIS = "workload.requests"


def draw(results: Results) -> Figure:
    """Draw throughput over DFS by pool size."""
    return serving_gain_lines.draw(results, AXIS, "requests in the pool", logarithmic=True)


def points(results: Results) -> pd.DataFrame:
    """Return the lines."""
    return serving_gain_lines.points(results, AXIS)
