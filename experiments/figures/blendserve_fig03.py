"""Compute time over memory time of the steps of a run, by order: Fig. 3.

The paper draws a pool of BurstGPT then OpenVid, from 0.5 to 10 on a logarithmic axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import new_figure, time_series
from experiments.figures.serving_orders import as_points, policies_of
from experiments.figures.serving_steps import as_rows, by_step, step_edges
from experiments.figures.style import INK
from experiments.tables import Results

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure

COLUMNS = {"compute": "compute_share", "memory": "memory_share"}
RATIO = "T_comp / T_mem"
LOWEST, HIGHEST = 0.05, 100.0


def draw(results: Results) -> Figure:
    """Draw the ratio over steps; 1 is balance."""
    from matplotlib.ticker import FuncFormatter

    policies, edges = policies_of(results), step_edges(results)
    figure = new_figure(9.0, 3.6)
    axes = figure.subplots()
    middles = (edges[1:] + edges[:-1]) / 2 / 1000
    for policy, columns in _ratios(results).items():
        if columns[RATIO]:
            time_series(axes, middles, columns[RATIO], policies[policy].colour, policy)
    axes.axhline(1.0, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.set_ylabel(f"{RATIO} of a step")
    axes.set_xlabel("thousand steps")
    axes.set_xlim(0, edges[-1] / 1000)
    axes.set_title(f"Balance of the steps (drawn between {LOWEST:g} and {HIGHEST:g})")
    axes.legend(ncols=len(policies))
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the lines, averaged over seeds."""
    return as_points(as_rows(results, _ratios(results)))


def _ratios(results: Results) -> dict[str, dict[str, list[np.ndarray]]]:
    import numpy as np

    found = {}
    for policy, columns in by_step(results, COLUMNS).items():
        pairs = zip(columns["compute"], columns["memory"], strict=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = [np.clip(c / m, LOWEST, HIGHEST) for c, m in pairs]
        found[policy] = {RATIO: ratios}
    return found
