"""Speed-ups that profiling decided on: a bar per operator, its colour the decision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.figures.parts import new_figure
from experiments.figures.tuning_parts import (
    as_points,
    decision_bars,
    decision_legend,
    labelled,
    paper_markers,
    paper_values,
    speedups,
)
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Decision:
    """What is decided, and how it is drawn.

    Attributes:
        metric: 1 where it was applied, 0 where not.
        words: for the legend, not applied and applied.
        label: of a run's configuration: the bar's name.
        panel: of a run's configuration: the panel's title.
        axis: label of the y axis.
    """

    metric: str
    words: tuple[str, str]
    label: Callable[[dict[str, Any]], str]
    panel: Callable[[dict[str, Any]], str]
    axis: str


def draw_decisions(results: Results, decision: Decision) -> Figure:
    """Draw a panel of bars per `decision.panel`, with the paper's values where they are known."""
    parts = _panels(results, decision)
    most = max(len(part) for part in parts.values())
    figure = new_figure(max(6.5, 1.25 * most + 1.5), 2.9 * len(parts) + 0.4)
    panels = figure.subplots(len(parts), 1, squeeze=False)[:, 0]
    paper = paper_values(results, "speedup", decision.label)
    for axes, (name, summary) in zip(panels, parts.items(), strict=True):
        places = decision_bars(axes, summary, decision.words)
        paper_markers(axes, places, paper)
        axes.margins(y=0.12)
        axes.set_ylim(bottom=0)
        axes.set_title(name)
        axes.set_ylabel(decision.axis)
    decision_legend(figure, decision.words, panels[0])
    return figure


def decision_points(results: Results, decision: Decision) -> pd.DataFrame:
    """Return the bars, and the paper's values."""
    import pandas as pd

    parts = [
        part.assign(panel=name, policy=[decision.words[int(yes)] for yes in part["applied"]])
        for name, part in _panels(results, decision).items()
    ]
    paper = paper_values(results, "speedup", decision.label)
    rows = [{"group": g, "policy": "paper (remembered)", "mean": v} for g, v in paper.items()]
    return as_points([*parts, pd.DataFrame(rows)])


def _panels(results: Results, decision: Decision) -> dict[str, pd.DataFrame]:
    table = labelled(results, group=decision.label, panel=decision.panel)
    return {
        str(name): speedups(part, decision.metric)
        for name, part in table.groupby("panel", sort=False)
    }


def threads_of(config: dict[str, Any]) -> str:
    """Return the number of threads in words."""
    threads = config["threads"]
    return f"{threads} thread{'s' if threads > 1 else ''}"
