"""Where Aurora ends, by where it starts: over capacity, latency and random loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures import congestion_paper as paper
from experiments.figures.congestion_dots import situation_looks
from experiments.figures.congestion_parts import (
    as_points,
    faint_grid,
    hollow,
    legend,
    line,
    paper_handle,
    paper_points,
    share_scale,
)
from experiments.figures.parts import new_figure, summarise
from experiments.figures.style import INK, Look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POLICY = "aurora_udt"
NOMINAL = {"capacity.mbps": 30.0, "rtt_ms": 30.0, "loss.p": 0.0}
SWEEPS = {
    "capacity.mbps": ("capacity (Mbit/s); 30 ms", paper.BANDWIDTH[POLICY]),
    "rtt_ms": ("base RTT (ms); 30 Mbit/s", paper.LATENCY[POLICY]),
    "loss.p": ("random loss (%); 30 Mbit/s, 30 ms", paper.LOSS[POLICY]),
}


def draw(results: Results) -> Figure:
    """Draw utilisation over each of the three, a line per start."""
    table = _table(results)
    starts = situation_looks(table["start"].tolist())
    figure = new_figure(10.5, 3.9)
    panels = figure.subplots(1, len(SWEEPS), sharey=True)
    for axes, (column, (label, curve)) in zip(panels, SWEEPS.items(), strict=True):
        share_scale(axes, bent=False)
        _x_axis(axes, column, list(curve))
        _lines(axes, _summary(table, column), column, starts)
        axes.plot(list(curve), list(curve.values()), **hollow(Look(INK, "D")), clip_on=False)
        axes.set_xlabel(label)
        faint_grid(axes)
    panels[0].set_ylabel(f"utilisation, {POLICY}")
    legend(figure, starts, (paper_handle(f"Aurora, paper ({paper.MARK})"),))
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the markers, and the paper's."""
    table = _table(results)
    parts = []
    for column, (_, curve) in SWEEPS.items():
        found = _summary(table, column).rename(columns={"start": "group", column: "x"})
        parts.append(found.assign(panel=column, policy=POLICY))
        parts.append(paper_points(column, {POLICY: curve}))
    return as_points(parts)


def start_label(config: dict[str, Any]) -> str:
    """Return where a run's Aurora starts, in words."""
    start = config["start"].get(POLICY, {"kind": "own"})
    if start["kind"] == "rate":
        return f"from {start['mbps']:g} Mbit/s"
    if start["kind"] == "share":
        return f"from {100 * start['share']:g} % of the capacity"
    return "from 6 Mbit/s, as deployed"


def _table(results: Results) -> pd.DataFrame:
    """Return the runs with the columns of `SWEEPS`, whichever part of the sweep they came from."""
    configs = {spec.id: spec.config for spec in results.plan.runs}
    chosen = [configs[i] for i in results.table["run_id"]]
    known = {column: [_value(config, column) for config in chosen] for column in SWEEPS}
    return results.table.assign(start=[start_label(config) for config in chosen], **known)


def _value(config: dict[str, Any], column: str) -> float:
    """Return a dotted field of a configuration; NaN where the part has no such field."""
    place: Any = config
    for part in column.split("."):
        place = place.get(part) if isinstance(place, dict) else None
    return float("nan") if place is None else float(place)


def _summary(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return utilisation over `column`, of the runs that are nominal in all else."""
    keep = table[column].notna()
    for name, value in NOMINAL.items():
        if name != column:
            keep &= table[name] == value
    return summarise(table.loc[keep], ["start", column], "utilisation")


def _lines(axes: Axes, summary: pd.DataFrame, column: str, starts: dict[str, Look]) -> None:
    for name, look in starts.items():
        line(axes, column, summary.loc[summary["start"] == name], look, size=5)


def _x_axis(axes: Axes, column: str, values: list[float]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    factor = 100.0 if column == "loss.p" else 1.0
    if column != "loss.p":
        axes.set_xscale("log")
        axes.set_xlim(0.8, 1.25 * max(values))
        axes.xaxis.set_major_locator(FixedLocator(sorted({1.0, 4.0, *values})))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.set_xlim(-0.04 * max(values), 1.04 * max(values))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{factor * x:g}"))
