"""Utilisation, queueing delay and loss by random loss: the paper's panel (d), and theory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures import congestion_sweep
from experiments.figures.congestion_paper import LOSS
from experiments.figures.congestion_parts import CEILING
from experiments.figures.style import INK
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPACITY_BPS, RTT_S, PAYLOAD_BITS = 30e6, 0.0304, 8 * 1448


def draw(results: Results) -> Figure:
    """Draw the sweep beside the paper's points and two laws."""
    return congestion_sweep.draw(results, SWEEP)


def points(results: Results) -> pd.DataFrame:
    """Return the markers, and the paper's."""
    return congestion_sweep.points(results, SWEEP)


def laws(axes: Axes) -> None:
    """Draw what arrives of a rate equal to the capacity, and the square-root law (CCR 1997)."""
    import numpy as np

    loss = np.linspace(0.0005, 0.08, 200)
    reno = np.sqrt(1.5 / loss) * PAYLOAD_BITS / RTT_S / CAPACITY_BPS
    style = {"color": INK, "linewidth": 0.9, "alpha": 0.6, "linestyle": (0, (5, 2))}
    axes.plot(loss, CEILING * (1 - loss), **style)
    axes.plot(loss, np.minimum(reno, CEILING), **style)


SWEEP = congestion_sweep.Sweep(
    "loss.p",
    "random loss (%); 30 Mbit/s, 30 ms, queue of 1000 KB",
    LOSS,
    logarithmic=False,
    theory=laws,
    note="dashed: a sender at the link's rate; sqrt(3 / 2p) packets per RTT\n"
    "aurora_udt starts at half the capacity",
)
