"""Utilisation, queueing delay and loss by the base RTT of a clean link: the paper's panel (b)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures import congestion_sweep
from experiments.figures.congestion_paper import LATENCY
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SWEEP = congestion_sweep.Sweep(
    "rtt_ms",
    "base RTT (ms); 30 Mbit/s, queue of 1000 KB, no random loss",
    LATENCY,
    bent=True,
    note="aurora_udt starts at half the capacity",
)


def draw(results: Results) -> Figure:
    """Draw the sweep beside the paper's points."""
    return congestion_sweep.draw(results, SWEEP)


def points(results: Results) -> pd.DataFrame:
    """Return the markers, and the paper's."""
    return congestion_sweep.points(results, SWEEP)
