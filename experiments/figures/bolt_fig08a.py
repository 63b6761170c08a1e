"""GEMMs by templates against kernels without tensor cores (Fig. 8a)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.tuning_gpu_speedup import draw_speedup, speedup_points
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

WHAT = "GEMMs"


def draw(results: Results) -> Figure:
    """Draw the bars and the paper's values."""
    return draw_speedup(results, WHAT)


def points(results: Results) -> pd.DataFrame:
    """Return the bars, and the paper's values."""
    return speedup_points(results, WHAT)
