"""What figures of shares of the ideal reward have in common: intervals, dots, the scale.

Where a point has several seeds, its interval is over them, as everywhere; a single run has its own
interval, over links.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.figures.congestion_parts import as_points, faint_grid, whiskers
from experiments.figures.parts import summarise
from experiments.figures.style import INK, Look

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

RATIO, MEDIAN = "share_ratio_of_means", "share_median"
WORDS = {RATIO: "ratio of means", MEDIAN: "median link"}
"""The two shares, in words."""
AXIS = "share of the ideal reward"
BEST = 1.0
"""The ideal."""
_HOLLOW = {"markerfacecolor": "none", "markeredgewidth": 1.1}


def shares(table: pd.DataFrame, keys: Sequence[str], metric: str) -> pd.DataFrame:
    """Return per combination of `keys`: mean, low, high, n of a metric that has an interval.

    Of a single run the interval is its own, from the columns `<metric>_low` and `<metric>_high`.
    """
    found = summarise(table, keys, metric)
    for end in ("low", "high"):
        own = summarise(table, keys, f"{metric}_{end}")
        alone = found["n"] == 1
        found[end] = found[end].astype(float).where(~alone, own["mean"].astype(float))
    return found


def side_dots(
    axes: Axes,
    rows: pd.DataFrame,
    heights: Mapping[Any, float],
    looks: Mapping[Any, Look],
    column: str,
    hollow: bool = False,
    below: float = 0.0,
) -> None:
    """Draw means with intervals along x, at (or `below`) the height of the value in `column`."""
    for row in rows.to_dict("records"):
        name = row[column]
        if name not in heights:
            continue
        look = looks[name]
        style: dict[str, Any] = {"color": look.colour, "marker": look.marker, "linestyle": "none"}
        style |= {"markersize": 4.5, **_HOLLOW} if hollow else {"markersize": 6}
        ends = whiskers(rows.loc[rows[column] == name])[:, :1]
        axes.errorbar([row["mean"]], [heights[name] + below], xerr=ends, capsize=2.5, **style)


def sides(axes: Axes, names: Sequence[Any]) -> dict[Any, float]:
    """Write names down the side of a panel, the first on top; return their heights."""
    axes.set_yticks(range(len(names)), [str(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    for height in range(len(names) - 1):
        axes.axhline(height + 0.5, color=INK, alpha=0.1, linewidth=0.6)
    faint_grid(axes, "x")
    return {name: float(place) for place, name in enumerate(names)}


def ideal(axes: Axes) -> None:
    """Mark the ideal on a share's x axis."""
    axes.axvline(BEST, color=INK, linewidth=0.8, alpha=0.6, linestyle=(0, (1, 2)))


def share_handles() -> list[Any]:
    """Return the legend's entries for the two shares."""
    from matplotlib.lines import Line2D

    style: dict[str, Any] = {"color": INK, "marker": "o", "linestyle": "none"}
    return [
        Line2D([], [], label=WORDS[RATIO], markersize=6, **style),
        Line2D([], [], label=WORDS[MEDIAN], markersize=4.5, **style, **_HOLLOW),
    ]


def share_points(
    table: pd.DataFrame, keys: Mapping[str, str], metrics: Sequence[str], **fixed: Any
) -> pd.DataFrame:
    """Return shares as rows of a figure's points.

    Args:
        table: of runs.
        keys: column of the table -> column of the points (`panel`, `group`, `policy` or `x`).
        metrics: with intervals; each is a panel, unless `keys` has the panel.
        fixed: further columns of the points.
    """
    parts = []
    for metric in metrics:
        found = shares(table, list(keys), metric).rename(columns=dict(keys))
        named = "group" if "panel" in keys.values() else "panel"
        parts.append(found.assign(**{named: metric}, **fixed))
    return as_points(parts)
