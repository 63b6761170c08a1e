"""Whole networks with the graph passes over the same without: ratios of one round, intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import new_figure, summarise
from experiments.figures.style import Look
from experiments.figures.tuning_parts import as_points, labelled, ratio_bars
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

OVER = {
    "over none at all": ("speedup_over_plain", Look("#7d8590", "v")),
    "over fused epilogues": ("speedup_over_epilogues", Look("#b47d0a", "X")),
}
"""Bar -> metric."""


def draw(results: Results) -> Figure:
    """Draw both ratios per network, with the outermost ends of its runs' intervals."""
    bars = _bars(results)
    figure = new_figure(max(6.0, 1.2 * len(set(bars["group"])) + 1.5), 3.4)
    axes = figure.subplots()
    ratio_bars(axes, bars, {name: look for name, (_, look) in OVER.items()}, "speed, without = 1")
    figure.legend(loc="outside upper left", ncols=2, handlelength=1.2)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the bars."""
    return as_points([_bars(results).assign(panel="speed")])


def _bars(results: Results) -> pd.DataFrame:
    """Return the mean over seeds per network and bar; each run has an interval over its rounds."""
    import pandas as pd

    table = labelled(results, group=lambda config: config["model"])
    parts = []
    for name, (metric, _) in OVER.items():
        part = summarise(table, ["group"], metric).assign(policy=name)
        ends = table.loc[table[metric].notna()].groupby("group", sort=False)
        part["low"] = part["group"].map(ends[f"{metric}_low"].min()).astype(float)
        part["high"] = part["group"].map(ends[f"{metric}_high"].max()).astype(float)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
