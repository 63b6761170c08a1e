"""What operations buy: return and error of the members of the Pareto front."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.congestion_parts import as_points, faint_grid, line
from experiments.figures.congestion_shares import AXIS, MEDIAN, RATIO, WORDS, shares
from experiments.figures.parts import new_figure, summarise
from experiments.figures.style import INK, Look, look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {RATIO: Look("#d55e00", "o"), MEDIAN: Look("#2b7cc0", "s")}
TEACHER = "teacher_share_ratio_of_means"
ERROR = "error"


def draw(results: Results) -> Figure:
    """Draw shares above the operations at the left, the error at the right."""
    table = results.table
    figure = new_figure(9.0, 3.6)
    left, right = figure.subplots(1, 2)
    for metric, own in LOOKS.items():
        line(left, "operations", shares(table, ["operations"], metric), own)
    _teacher(left, table)
    left.set_ylabel(AXIS)
    left.set_ylim(top=1.02)
    line(right, "operations", summarise(table, ["operations"], ERROR), LOOKS[RATIO])
    right.set_ylabel("mean squared error to the teacher")
    if (table.loc[:, ERROR].dropna().to_numpy(float) > 0).all():
        right.set_yscale("log")
    for axes in (left, right):
        axes.set_xlabel("operations on the costliest path")
        faint_grid(axes)
    _legend(figure)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return shares and errors by operations."""
    table = results.table
    parts = [
        shares(table, ["operations"], metric).assign(panel="share", group=metric)
        for metric in LOOKS
    ]
    parts.append(summarise(table, ["operations"], ERROR).assign(panel=ERROR))
    parts.append(summarise(table, ["operations"], TEACHER).assign(panel="share", group=TEACHER))
    return as_points([part.rename(columns={"operations": "x"}) for part in parts])


def _teacher(axes: Axes, table: pd.DataFrame) -> None:
    levels = table.loc[:, TEACHER].dropna().to_numpy(float)
    if len(levels):
        axes.axhline(levels.mean(), color=look("teacher").colour, linewidth=1.0)


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=own.colour, marker=own.marker, label=WORDS[metric])
        for metric, own in LOOKS.items()
    ]
    teacher = Line2D([], [], color=look("teacher").colour, label="the teacher, ratio of means")
    said = Line2D(
        [], [], color=INK, linestyle="none", label="member of least error within a budget"
    )
    figure.legend(handles=[*handles, teacher, said], loc="outside upper left", ncols=4)
