"""CPU time of vLLM runs that were not calibrated on: predicted over measured, with the range."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import new_figure
from experiments.figures.style import INK, look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

POOLS = {"mix": "mix", "prefix": "long shared prefixes", "outputs": "long outputs"}
DEMANDED = 0.15


def draw(results: Results) -> Figure:
    """Draw a dot per pool and seed, a line from the slowest to the fastest repeat."""
    figure = new_figure(7.0, 3.2)
    axes = figure.subplots()
    axes.axvspan(1 - DEMANDED, 1 + DEMANDED, color=INK, alpha=0.08, label="15 %")
    axes.axvline(1.0, color=INK, linewidth=0.8)
    found, colour = points(results), look("blendserve").colour
    seeds = sorted(set(found["seed"]))
    for row in found.to_dict("records"):
        shift = 0.5 * ((seeds.index(row["seed"]) + 0.5) / len(seeds) - 0.5)
        at = list(POOLS).index(row["pool"]) + shift
        axes.plot([row["low"], row["high"]], [at, at], color=colour, linewidth=1.2)
        axes.plot([row["ratio"]], [at], "o", color=colour, markersize=5)
    axes.set_yticks(range(len(POOLS)), list(POOLS.values()))
    axes.invert_yaxis()
    axes.set_xlabel("predicted / measured CPU time (dot: median repeat; line: all repeats)")
    axes.set_title("Pools that the step costs were not fitted to")
    axes.legend(loc="lower right")
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the dots and the ends of their lines."""
    import pandas as pd

    rows = [
        {
            "pool": pool,
            "seed": run["seed"],
            "ratio": run[f"{pool}_ratio"],
            "low": run[f"{pool}_ratio_low"],
            "high": run[f"{pool}_ratio_high"],
            "measured_s": run[f"{pool}_measured_s"],
        }
        for run in results.table.to_dict("records")
        for pool in POOLS
    ]
    return pd.DataFrame(rows)
