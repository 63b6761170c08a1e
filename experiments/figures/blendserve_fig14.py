"""The grid of Fig. 11 with ShareGPT instead of BurstGPT; the paper's cells are not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.serving_grid import draw_grid, grid_points
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """Draw our cells, and gains over density."""
    return draw_grid(results, {})


def points(results: Results) -> pd.DataFrame:
    """Return the cells."""
    return grid_points(results, {})
