"""Figures of a sweep over one property of the link: utilisation, queueing delay, loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.figures import congestion_paper as paper
from experiments.figures.congestion_parts import (
    HERE,
    LIVE,
    as_points,
    faint_grid,
    grow_from_zero,
    hollow,
    in_two,
    legend,
    line,
    paper_handle,
    paper_points,
    policies_of,
    ring_handle,
    rings,
    share_scale,
)
from experiments.figures.parts import new_figure, summarise
from experiments.figures.style import Look
from experiments.figures.style import look as look_of
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UTILISATION, DELAY, P95, LOSS = "utilisation", "queue_delay_ms", "queue_delay_p95_ms", "loss"
METRICS = (UTILISATION, DELAY, P95, LOSS)
LABELS = {UTILISATION: "utilisation", DELAY: "queueing delay (ms)", LOSS: "packets lost (%)"}


@dataclass(frozen=True)
class Sweep:
    """What a figure sweeps over.

    Attributes:
        column: axis of the manifest, the x axis.
        label: of the x axis.
        curves: the paper's points per policy.
        logarithmic: scale of the x axis.
        bent: whether the scale of utilisation is stretched above 75 %.
        theory: draws further lines into a panel of utilisation.
        note: what a reader must know, in a line or two.
    """

    column: str
    label: str
    curves: Mapping[str, paper.Curve]
    logarithmic: bool = True
    bent: bool = False
    theory: Callable[[Axes], None] | None = None
    note: str = ""


def draw(results: Results, sweep: Sweep, live: pd.DataFrame | None = None) -> Figure:
    """Draw the schemes of the paper at the left, the others, if there are any, at the right.

    Args:
        results: what is drawn.
        sweep: over what.
        live: rows like those of the results' table, measured just now; they are ringed.
    """
    policies = policies_of(results)
    columns = [chosen for i, chosen in enumerate(in_two(policies)) if chosen or i == 0]
    figure = new_figure(10.5 if len(columns) > 1 else 8.0, 8.4)
    panels = figure.subplots(
        3, len(columns), sharex=True, sharey="row", squeeze=False, height_ratios=(1.7, 1, 1)
    )
    for column, chosen in enumerate(columns):
        above, middle, below = panels[:, column]
        _x_axis(below, results, sweep)
        share_scale(above, sweep.bent)
        _curves(above, results, sweep, UTILISATION, chosen)
        if sweep.theory is not None:
            sweep.theory(above)
        _delays(middle, results, sweep, chosen)
        grow_from_zero(below, 0.1, (0, 0.1, 1, 10, 100), 130)
        _curves(below, results, sweep, LOSS, chosen, 100.0)
        for axes in (above, middle, below):
            faint_grid(axes)
    _paper(panels[0, 0], sweep)
    panels[0, 0].set_title("Drawn in the paper too")
    if len(columns) > 1:
        panels[0, 1].set_title("Others")
    words = ("dotted: all that headers leave", sweep.note)
    panels[0, -1].set_title(
        "\n".join(w for w in words if w), loc="right", fontsize=8.5, fontweight="normal", alpha=0.75
    )
    for axes, metric in zip(panels[:, 0], (UTILISATION, DELAY, LOSS), strict=True):
        axes.set_ylabel(LABELS[metric])
    handles = [paper_handle()]
    if live is not None and len(live):
        for axes, metric in zip(panels[:, 0], (UTILISATION, DELAY, LOSS), strict=True):
            rings(axes, live, sweep.column, metric, 100.0 if metric == LOSS else 1.0)
        handles.append(ring_handle())
    legend(figure, policies, handles, columns=7 if len(columns) > 1 else 4)
    return figure


def points(results: Results, sweep: Sweep, live: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the markers, those measured just now, and the paper's."""
    parts = []
    tables = {HERE: results.table} if live is None else {HERE: results.table, LIVE: live}
    for group, table in tables.items():
        for metric in METRICS:
            found = summarise(table, [sweep.column, "policy"], metric)
            found = found.rename(columns={sweep.column: "x"})
            parts.append(found.assign(panel=metric, group=group))
    return as_points([*parts, paper_points(UTILISATION, sweep.curves)])


def _curves(
    axes: Axes,
    results: Results,
    sweep: Sweep,
    metric: str,
    policies: Mapping[str, Look],
    times: float = 1.0,
) -> None:
    summary = summarise(results.table, [sweep.column, "policy"], metric)
    for name, look in policies.items():
        rows = summary.loc[summary["policy"] == name]
        line(axes, sweep.column, rows, look, times=times)


def _delays(axes: Axes, results: Results, sweep: Sweep, policies: Mapping[str, Look]) -> None:
    """Draw mean delays as lines, and a stroke up to the 95th percentile."""
    grow_from_zero(axes, 1, (0, 1, 10, 100, 1000, 10000), 20000)
    _curves(axes, results, sweep, DELAY, policies)
    mean = summarise(results.table, [sweep.column, "policy"], DELAY)
    tail = summarise(results.table, [sweep.column, "policy"], P95)
    for name, look in policies.items():
        low, high = (part.loc[part["policy"] == name] for part in (mean, tail))
        axes.vlines(
            low[sweep.column].to_numpy(float),
            low["mean"].to_numpy(float),
            high["mean"].to_numpy(float),
            color=look.colour,
            linewidth=3,
            alpha=0.3,
        )
    axes.set_title(
        "pale: up to the 95th percentile", loc="right", fontsize=8, fontweight="normal", alpha=0.75
    )


def _paper(axes: Axes, sweep: Sweep) -> None:
    for name, curve in sweep.curves.items():
        axes.plot(list(curve), list(curve.values()), **hollow(look_of(name)), clip_on=False)


def _x_axis(axes: Axes, results: Results, sweep: Sweep) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    values = sorted({float(x) for x in results.table[sweep.column].dropna()} | set(_known(sweep)))
    if sweep.logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(0.8 * values[0], 1.25 * values[-1])
        axes.xaxis.set_major_locator(FixedLocator(values))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        margin = 0.04 * values[-1]
        axes.set_xlim(values[0] - margin, values[-1] + margin)
    factor = 1.0 if sweep.logarithmic else 100.0
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{factor * x:g}"))
    axes.set_xlabel(sweep.label)


def _known(sweep: Sweep) -> list[float]:
    return [float(x) for curve in sweep.curves.values() for x in curve]
