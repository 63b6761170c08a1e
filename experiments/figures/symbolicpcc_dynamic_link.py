"""Goodput and queueing delay over time on a link whose capacity changes every 5 s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures import congestion_time
from experiments.figures.congestion_paper import DYNAMIC_LINK
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SHOWN = congestion_time.OverTime(DYNAMIC_LINK)


def draw(results: Results) -> Figure:
    """Draw a panel per policy beside the paper's points."""
    return congestion_time.draw(results, SHOWN)


def points(results: Results) -> pd.DataFrame:
    """Return the steps, and the paper's points."""
    return congestion_time.points(results, SHOWN)
