"""Orders on the four mixes, all on one engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures import serving_mixes
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """Draw throughput, share of the optimum and sharing kept by mix."""
    return serving_mixes.draw(results)


def points(results: Results) -> pd.DataFrame:
    """Return the bars and the paper's values."""
    return serving_mixes.points(results)
