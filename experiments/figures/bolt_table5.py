"""RepVGG deepened by 1x1 convolutions, as Table 5, on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.tuning_codesign import draw_variants, variant_points
from experiments.figures.tuning_paper import TABLE5
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """Draw throughput, its cost, and the cited accuracy."""
    return draw_variants(results, TABLE5)


def points(results: Results) -> pd.DataFrame:
    """Return the bars, and what is cited."""
    return variant_points(results, TABLE5)
