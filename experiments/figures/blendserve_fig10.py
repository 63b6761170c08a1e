"""Busy compute and memory over the steps of a run, by order: Fig. 10."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import new_figure, time_series
from experiments.figures.serving_orders import as_points, policies_of, share_axis
from experiments.figures.serving_steps import as_rows, by_step, step_edges
from experiments.figures.style import COMPUTE, MEMORY
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

COLUMNS = {"compute busy": "compute_share", "memory busy": "memory_share"}
LINES = {"compute busy": (COMPUTE, "-"), "memory busy": (MEMORY, (0, (3, 1.2)))}


def draw(results: Results) -> Figure:
    """Draw a panel per order: shares of each step's time, over steps."""
    series, policies = by_step(results, COLUMNS), policies_of(results)
    edges = step_edges(results)
    middles = (edges[1:] + edges[:-1]) / 2 / 1000
    figure = new_figure(9.5, 3.4)
    panels = figure.subplots(1, len(policies), sharey=True, squeeze=False)[0]
    for axes, (policy, own) in zip(panels, policies.items(), strict=True):
        for name, runs in series[policy].items():
            if runs:
                colour, dashes = LINES[name]
                time_series(axes, middles, runs, colour, name, dashes)
        axes.set_title(policy, color=own.colour)
        axes.set_xlabel("thousand steps")
        axes.set_xlim(0, edges[-1] / 1000)
    share_axis(panels[0], "of the step's time")
    handles, names = panels[-1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper right", ncols=2)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the lines, averaged over seeds."""
    return as_points(as_rows(results, by_step(results, COLUMNS)))
