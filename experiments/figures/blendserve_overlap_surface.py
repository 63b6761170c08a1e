"""NanoFlow's published interference points as a surface, and overlap models against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.overlap_parts import draw_surface, surface_points
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """Draw hidden fractions and models' errors."""
    return draw_surface(results, "Published points of an A100 (NanoFlow)")


def points(results: Results) -> pd.DataFrame:
    """Return what is drawn."""
    return surface_points(results)
