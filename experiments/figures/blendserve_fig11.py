"""Fig. 11: the gain over DFS on 65 mixes of BurstGPT, MMLU and OpenVid, with the paper's cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.serving_grid import draw_grid, grid_points
from experiments.figures.serving_paper import GRID
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """Draw our cells, the paper's, the difference, and gains over density."""
    return draw_grid(results, GRID)


def points(results: Results) -> pd.DataFrame:
    """Return the cells, ours and the paper's."""
    return grid_points(results, GRID)
