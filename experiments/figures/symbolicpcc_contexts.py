"""What more contexts bring: return, operations, and how well a decider tells them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.congestion_parts import as_points, faint_grid, line
from experiments.figures.congestion_shares import AXIS, MEDIAN, RATIO, WORDS, shares
from experiments.figures.parts import new_figure, summarise
from experiments.figures.style import Look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHARES = {RATIO: Look("#d55e00", "o"), MEDIAN: Look("#2b7cc0", "s")}
COSTS = {
    "operations": ("on the costliest path", Look("#d55e00", "o")),
    "operations_in_all": ("in the whole rule", Look("#7d8590", "v")),
}
ACCURACY = "accuracy"
LIMITS = {"operations": 60, "operations_in_all": 150}
"""What a shipped rule may cost."""


def draw(results: Results) -> Figure:
    """Draw three panels over the number of contexts."""
    table = _table(results)
    figure = new_figure(10.5, 3.5)
    panels = figure.subplots(1, 3)
    for metric, look in SHARES.items():
        line(panels[0], "contexts", shares(table, ["contexts"], metric), look)
    panels[0].set_ylabel(AXIS)
    panels[0].set_ylim(top=1.02)
    for metric, (_, look) in COSTS.items():
        line(panels[1], "contexts", summarise(table, ["contexts"], metric), look)
        limit = {"color": look.colour, "linewidth": 0.8, "linestyle": (0, (1, 2))}
        panels[1].axhline(LIMITS[metric], **limit)
    panels[1].set_ylabel("operations; dotted: the limit")
    panels[1].set_ylim(bottom=0)
    line(panels[2], "contexts", summarise(table, ["contexts"], ACCURACY), Look("#8a63c8", "D"))
    panels[2].set_ylabel("accuracy of the decider")
    panels[2].set_ylim(0, 1.02)
    counts = sorted(set(table["contexts"]))
    for axes in panels:
        axes.set_xticks(counts)
        axes.set_xlim(min(counts) - 0.4, max(counts) + 0.4)
        axes.set_xlabel("contexts")
        faint_grid(axes)
    _legend(panels[0], {WORDS[metric]: look for metric, look in SHARES.items()})
    _legend(panels[1], dict(COSTS.values()))
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return all three panels; x is the number of contexts."""
    table = _table(results)
    parts = [shares(table, ["contexts"], m).assign(panel="share", group=m) for m in SHARES]
    for metric in (*COSTS, ACCURACY):
        parts.append(summarise(table, ["contexts"], metric).assign(panel=metric))
    return as_points([part.rename(columns={"contexts": "x"}) for part in parts])


def _table(results: Results) -> pd.DataFrame:
    known = {spec.id: int(spec.config["contexts"]) for spec in results.plan.runs}
    return results.table.assign(contexts=[known[i] for i in results.table["run_id"]])


def _legend(axes: Axes, looks: dict[str, Look]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, label=words)
        for words, look in looks.items()
    ]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0))
