"""The figure of a manifest that has no figure file of its own: its metrics over its first axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.parts import bars, new_figure, summarise
from experiments.figures.style import Look, looks
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_PANELS = 4
ALONE = "all runs"


def draw(results: Results) -> Figure:
    """Draw one panel per metric (the manifest's first four), one line or bar per policy.

    Axes of the sweep beyond the first are averaged over, together with the seeds.
    """
    metrics = [m for m in results.manifest.metrics if m in results.table][:MAX_PANELS]
    figure = new_figure(max(4.5, 3.6 * len(metrics)), 3.2)
    axis = _first_axis(results)
    table = _labelled(results.table, axis)
    named = looks(dict.fromkeys(table["policy"]))
    panels = figure.subplots(1, max(len(metrics), 1), squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=False):
        _panel(axes, summarise(table, [axis, "policy"], metric), axis, named)
        axes.set_title(metric)
    if len(named) > 1:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=4)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the plotted points: metric, axis value, policy, mean and interval."""
    import pandas as pd

    axis = _first_axis(results)
    table = _labelled(results.table, axis)
    metrics = [m for m in results.manifest.metrics if m in table][:MAX_PANELS]
    parts = [summarise(table, [axis, "policy"], m).assign(metric=m) for m in metrics]
    return pd.concat(parts, ignore_index=True) if parts else table


def _first_axis(results: Results) -> str:
    names = [name for spec in results.plan.runs for name in spec.point]
    return names[0] if names else "policy"


def _labelled(table: pd.DataFrame, axis: str) -> pd.DataFrame:
    filled = table.assign(policy=table["policy"].fillna(ALONE))
    return filled if axis in filled else filled.assign(**{axis: ""})


def _panel(axes: Axes, summary: pd.DataFrame, axis: str, named: dict[str, Look]) -> None:
    if axis != "policy" and _is_scale(summary[axis].tolist()):
        for name, look in named.items():
            rows = summary.loc[summary["policy"] == name].sort_values(axis)
            axes.plot(rows[axis], rows["mean"], color=look.colour, marker=look.marker, label=name)
            if rows["low"].notna().all():
                low, high = rows["low"].astype(float), rows["high"].astype(float)
                axes.fill_between(rows[axis], low, high, color=look.colour, alpha=0.2, linewidth=0)
        axes.set_xlabel(axis)
    else:
        group = "" if axis == "policy" else axis
        bars(axes, summary.assign(**{"": ""}), group, "policy", named)


def _is_scale(values: list[Any]) -> bool:
    return len(set(values)) > 2 and all(isinstance(v, int | float) for v in values)
