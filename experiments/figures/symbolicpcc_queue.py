"""Utilisation, queueing delay and loss by the size of the queue: the paper's panel (c)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures import congestion_sweep
from experiments.figures.congestion_paper import QUEUE
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SWEEP = congestion_sweep.Sweep(
    "queue.kb",
    "queue (KB); 30 Mbit/s, 30 ms, no random loss",
    QUEUE,
    note="aurora_udt starts at half the capacity",
)


def draw(results: Results) -> Figure:
    """Draw the sweep beside the paper's points."""
    return congestion_sweep.draw(results, SWEEP)


def points(results: Results) -> pd.DataFrame:
    """Return the markers, and the paper's."""
    return congestion_sweep.points(results, SWEEP)
