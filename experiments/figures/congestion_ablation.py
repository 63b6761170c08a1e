"""Figures of distillations with and without one of their parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from experiments.figures.congestion_dots import situation_looks
from experiments.figures.congestion_parts import as_points, faint_grid
from experiments.figures.congestion_shares import (
    AXIS,
    MEDIAN,
    RATIO,
    ideal,
    share_handles,
    shares,
    side_dots,
    sides,
)
from experiments.figures.parts import new_figure, summarise, time_series
from experiments.figures.style import Look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Label: TypeAlias = Callable[[Mapping[str, Any]], str]
"""From a run's configuration to what its variant is called."""

SERIES = "rounds"
PLAIN = {
    "error": "mean squared error\nto the teacher",
    "operations": "operations on\nthe costliest path",
}
"""Metrics without an interval of their own -> label."""


def draw(results: Results, label: Label) -> Figure:
    """Draw shares, errors and operations per variant, and the return round by round."""
    table = _table(results, label)
    looks = situation_looks(table["variant"].tolist())
    curves = _curves(results, table)
    figure = new_figure(11.0, 1.9 + 0.45 * max(len(looks), 3))
    widths = (1.3, 1, 1, 1.3) if curves else (1.3, 1, 1)
    panels = figure.subplots(1, len(widths), width_ratios=widths)
    heights: dict[Any, float] = {}
    for axes in panels[: 1 + len(PLAIN)]:
        heights = sides(axes, list(looks))
    for metric, hollow in ((RATIO, False), (MEDIAN, True)):
        rows, below = shares(table, ["variant"], metric), 0.15 if hollow else 0.0
        side_dots(panels[0], rows, heights, looks, "variant", hollow, below)
    ideal(panels[0])
    panels[0].set_xlabel(AXIS)
    panels[0].set_xlim(right=1.02)
    for axes, (metric, words) in zip(panels[1:], PLAIN.items(), strict=False):
        rows = summarise(table, ["variant"], metric)
        side_dots(axes, rows, heights, looks, "variant")
        axes.tick_params(labelleft=False)
        axes.set_xlabel(words)
        axes.margins(x=0.1)
        axes.set_xlim(left=0)
    if curves:
        _draw_curves(panels[-1], curves, looks)
    figure.legend(handles=share_handles(), loc="outside upper left", ncols=2)
    return figure


def points(results: Results, label: Label) -> pd.DataFrame:
    """Return all panels; `group` is the variant."""
    import pandas as pd

    table = _table(results, label)
    parts = [shares(table, ["variant"], m).assign(panel=m) for m in (RATIO, MEDIAN)]
    parts += [summarise(table, ["variant"], metric).assign(panel=metric) for metric in PLAIN]
    for variant, runs in _curves(results, table).items():
        stacked = pd.concat(runs)
        found = summarise(stacked, ["round"], "share").rename(columns={"round": "x"})
        parts.append(found.assign(panel=SERIES, variant=variant))
    return as_points([part.rename(columns={"variant": "group"}) for part in parts])


def _table(results: Results, label: Label) -> pd.DataFrame:
    names = {spec.id: label(spec.config) for spec in results.plan.runs}
    return results.table.assign(variant=[names[i] for i in results.table["run_id"]])


def _curves(results: Results, table: pd.DataFrame) -> dict[str, list[pd.DataFrame]]:
    """Return variant -> the rounds of each of its runs."""
    frame = results.series(SERIES)
    found: dict[str, list[pd.DataFrame]] = {}
    if not len(frame):
        return found
    names = dict(zip(table["run_id"], table["variant"], strict=True))
    for run_id, rows in frame.groupby("run_id", sort=False):
        found.setdefault(str(names[run_id]), []).append(rows.sort_values("round"))
    return found


def _draw_curves(
    axes: Axes, curves: Mapping[str, list[pd.DataFrame]], looks: Mapping[str, Look]
) -> None:
    """Draw the share on validation links after each round, before refinement."""
    import numpy as np

    for variant, look in looks.items():
        runs = curves.get(variant, [])
        if not runs:
            continue
        longest = max(len(run) for run in runs)
        values = np.full((len(runs), longest), np.nan)
        for place, run in enumerate(runs):
            values[place, : len(run)] = run["share"]
        rounds = np.arange(longest)
        time_series(axes, rounds, list(values), look.colour, variant)
        axes.plot(rounds, np.nanmean(values, axis=0), look.marker, color=look.colour, markersize=5)
    last = max(len(run) for runs in curves.values() for run in runs)
    axes.set_xticks(range(last))
    axes.set_xlim(-0.3, last - 0.7)
    axes.set_ylim(top=1.02)
    axes.set_xlabel("round of DAgger")
    axes.set_ylabel("share before refinement")
    faint_grid(axes)
