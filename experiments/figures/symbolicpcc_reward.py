"""Shares of the ideal reward on links like those of the training, and on others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.congestion_parts import policies_of
from experiments.figures.congestion_shares import (
    AXIS,
    MEDIAN,
    RATIO,
    ideal,
    share_handles,
    share_points,
    shares,
    side_dots,
    sides,
)
from experiments.figures.parts import new_figure
from experiments.figures.style import look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = {
    "training": "as in training",
    "faster": "100 to 1000 Mbit/s",
    "slower": "0.3 to 1 Mbit/s",
    "bandwidth": "bandwidth 1 to 100 Mbit/s",
    "latency": "RTT 1 to 100 ms",
    "loss": "loss 0 to 8 %",
    "queue": "queue 2 packets to 10 MB",
    "together": "all four together",
}
"""Distribution of links -> its panel's title; a panel each, in this order."""
COLUMNS = 4
TEACHER = "teacher"
LEAST = 0.6
"""Where the scale begins; what lies below is drawn on the edge, with its value beside it."""


def draw(results: Results) -> Figure:
    """Draw a panel per distribution, policies down its side."""
    table, policies = _table(results), policies_of(results)
    names = [name for name in TITLES if name in set(table["distribution"])]
    rows = -(-len(names) // COLUMNS)
    height = 1.1 + rows * (0.75 + 0.235 * len(policies))
    figure = new_figure(11.0, height)
    columns = min(COLUMNS, len(names))
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for axes, name in zip(panels, names, strict=False):
        axes.set_title(TITLES[name])
        heights = sides(axes, list(policies))
        chosen = table.loc[table["distribution"] == name]
        for metric, hollow in ((RATIO, False), (MEDIAN, True)):
            found = shares(chosen, ["policy"], metric)
            _below(axes, found, heights, metric)
            shown, below = found.loc[found["mean"] >= LEAST], 0.24 if hollow else 0.0
            side_dots(axes, shown, heights, policies, "policy", hollow, below)
            if metric == RATIO:
                _reference(axes, found)
        ideal(axes)
        axes.tick_params(labelbottom=True)
    panels[0].set_xlim(LEAST, 1.04)
    figure.supxlabel(AXIS, fontsize=9.5)
    figure.legend(handles=share_handles(), loc="outside upper left", ncols=2)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return both shares of every policy and distribution."""
    return share_points(
        _table(results), {"distribution": "panel", "policy": "policy"}, (RATIO, MEDIAN)
    )


def _table(results: Results) -> pd.DataFrame:
    """Return the runs with their distribution, be it an axis of the sweep or not."""
    known = {spec.id: str(spec.config["distribution"]) for spec in results.plan.runs}
    return results.table.assign(distribution=[known[i] for i in results.table["run_id"]])


def _reference(axes: Axes, found: pd.DataFrame) -> None:
    """Draw the teacher's mean as a line through all policies."""
    mine = found.loc[found["policy"] == TEACHER, "mean"]
    if len(mine) and float(mine.iloc[0]) >= LEAST:
        axes.axvline(float(mine.iloc[0]), color=look(TEACHER).colour, linewidth=0.9, alpha=0.7)


def _below(axes: Axes, found: pd.DataFrame, heights: dict[str, float], metric: str) -> None:
    """Write what is too low for the scale at its edge."""
    if metric != RATIO:
        return
    for row in found.loc[found["mean"] < LEAST].to_dict("records"):
        place = axes.get_yaxis_transform()
        text = f"◂ {row['mean']:.2g}"
        axes.text(0.015, heights[row["policy"]], text, transform=place, va="center", fontsize=8)
