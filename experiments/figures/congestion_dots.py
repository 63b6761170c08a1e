"""Dot plots: policies down the side, one mark per situation, seeds as faint dots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.figures.congestion_parts import HERE, as_points, faint_grid, whiskers
from experiments.figures.parts import summarise
from experiments.figures.style import INK, Look

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SITUATIONS = (
    Look("#2b7cc0", "o"),
    Look("#b47d0a", "s"),
    Look("#8a63c8", "^"),
    Look("#7d8590", "D"),
    Look("#a8653a", "v"),
)
_SPACE = 0.6
NEVER = "never"


def situation_looks(names: Sequence[str]) -> dict[str, Look]:
    """Return how each situation is drawn; beyond five they repeat."""
    unique = list(dict.fromkeys(names))
    return {name: SITUATIONS[i % len(SITUATIONS)] for i, name in enumerate(unique)}


def dots(
    axes: Axes,
    table: pd.DataFrame,
    metric: str,
    policies: Sequence[str],
    situations: Mapping[str, Look],
) -> None:
    """Draw means with intervals over seeds; `table` has the column `situation`.

    A policy is written "never" at the right for each situation in which no seed has a value.
    """
    summary = summarise(table, ["situation", "policy"], metric)
    for place, (situation, look) in enumerate(situations.items()):
        chosen = summary.loc[summary["situation"] == situation]
        own = table.loc[table["situation"] == situation]
        heights = {p: i + _offset(place, len(situations)) for i, p in enumerate(policies)}
        _seeds(axes, own, metric, heights, look)
        rows = chosen.loc[chosen["policy"].isin(list(policies))]
        at = [heights[p] for p in rows["policy"]]
        style = {"color": look.colour, "marker": look.marker, "markersize": 6, "linestyle": "none"}
        axes.errorbar(rows["mean"].to_numpy(float), at, xerr=whiskers(rows), capsize=2.5, **style)
        absent = [p for p in policies if p not in set(rows["policy"]) and p in set(own["policy"])]
        for policy in absent:
            said = {"ha": "right", "va": "center", "fontsize": 8, "color": look.colour}
            axes.text(0.99, heights[policy], NEVER, transform=axes.get_yaxis_transform(), **said)
    _sides(axes, policies)


def points(table: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Return the means as rows: `group` is the situation, `panel` the metric."""
    parts = []
    for metric in metrics:
        found = summarise(table, ["situation", "policy"], metric)
        found = found.rename(columns={"situation": "group"}).assign(panel=metric)
        found["group"] = [f"{HERE}: {' '.join(str(g).split())}" for g in found["group"]]
        parts.append(found)
    return as_points(parts)


def legend(figure: Figure, situations: Mapping[str, Look]) -> None:
    """Put a legend of the situations above all panels."""
    from matplotlib.lines import Line2D

    handles: list[Any] = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle="none", label=name)
        for name, look in situations.items()
    ]
    faint = {"color": INK, "alpha": 0.35, "marker": "o", "markersize": 3, "linestyle": "none"}
    handles.append(Line2D([], [], label="one seed", **faint))
    figure.legend(handles=handles, loc="outside upper left", ncols=5, handlelength=1.2)


def _offset(place: int, count: int) -> float:
    return (place - (count - 1) / 2) * _SPACE / max(count, 1)


def _seeds(
    axes: Axes, table: pd.DataFrame, metric: str, heights: Mapping[str, float], look: Look
) -> None:
    rows = table.loc[table[metric].notna() & table["policy"].isin(list(heights))]
    at = [heights[p] for p in rows["policy"]]
    style = {"color": look.colour, "alpha": 0.35, "markersize": 3, "linestyle": "none"}
    axes.plot(rows[metric].to_numpy(float), at, marker="o", **style)


def _sides(axes: Axes, policies: Sequence[str]) -> None:
    axes.set_yticks(range(len(policies)), list(policies))
    axes.set_ylim(len(policies) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    for height in range(len(policies) - 1):
        axes.axhline(height + 0.5, color=INK, alpha=0.1, linewidth=0.6)
    faint_grid(axes, "x")
