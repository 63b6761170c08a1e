"""Goodput and queueing delay over time on an emulated link whose capacity changes every 5 s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures import emulated_parts
from experiments.figures.symbolicpcc_dynamic_link import SHOWN
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """Draw a panel per policy beside the paper's points."""
    return emulated_parts.draw_time(results, SHOWN)


def points(results: Results) -> pd.DataFrame:
    """Return the steps, and the paper's points."""
    return emulated_parts.time_points(results, SHOWN)
