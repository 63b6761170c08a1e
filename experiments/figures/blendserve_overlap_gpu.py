"""GEMMs beside decode attention on a GPU, and overlap models against what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.overlap_parts import draw_surface, surface_points
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """Draw hidden fractions and models' errors."""
    return draw_surface(results, "GEMMs beside decode attention, measured")


def points(results: Results) -> pd.DataFrame:
    """Return what is drawn."""
    return surface_points(results)
