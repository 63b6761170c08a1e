"""Utilisation, queueing delay and loss by queue, with real packets: the paper's panel (c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures import emulated_parts
from experiments.figures.symbolicpcc_queue import SWEEP
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """Draw the sweep beside the paper's points."""
    return emulated_parts.draw_sweep(results, SWEEP)


def points(results: Results) -> pd.DataFrame:
    """Return the markers, and the paper's."""
    return emulated_parts.sweep_points(results, SWEEP)
