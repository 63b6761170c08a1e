"""What the figures of congestion controllers share: policies, axes, the paper's points, points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.figures import congestion_paper as paper
from experiments.figures.style import INK, Look, looks
from experiments.tables import Results

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

HERE = "here"
LIVE = "measured just now; the others are recorded"
PAPER = f"paper ({paper.MARK})"
POINTS = ("panel", "group", "policy", "x", "mean", "low", "high", "n")
CEILING = 1448 / 1514
"""Utilisation of a link that is never idle: the payload's share of a packet."""
BEND = 0.75
"""Where the bent scale of utilisation changes; the paper's panels (a) and (b) begin there."""
_BELOW = 0.3  # share of the height for what lies below the bend
_FIRST = ("cubic", "bbr", "vivace", "aurora_udt", "symbolic", "symbolic_branched")


def policies_of(results: Results) -> dict[str, Look]:
    """Return the policies that the plan compares, in its order, and how they are drawn."""
    return looks(str(spec.config["policy"]) for spec in results.plan.runs)


def in_two(policies: Mapping[str, Look]) -> tuple[dict[str, Look], dict[str, Look]]:
    """Return those that the paper draws too, and the others."""
    own = {name: look for name, look in policies.items() if name in _FIRST}
    return own, {name: look for name, look in policies.items() if name not in own}


def share_scale(axes: Axes, bent: bool) -> None:
    """Make the y axis one of utilisation in per cent, 0 to 1; bent: upper quarter stretched."""
    from matplotlib.ticker import FixedLocator, FuncFormatter

    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    if bent:
        axes.set_yscale("function", functions=(_bend, _unbend))
        ticks = [0.0, 0.5, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0]
        axes.axhline(BEND, color=INK, linewidth=0.6, alpha=0.5)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g} %"))
    axes.axhline(CEILING, color=INK, linewidth=0.8, alpha=0.6, linestyle=(0, (1, 2)))


def _bend(y: Any) -> NDArray[np.float64]:
    import numpy as np

    return np.interp(y, (-1, 0, BEND, 1, 2), (-_BELOW / BEND, 0, _BELOW, 1, 1 + (1 - _BELOW) * 4))


def _unbend(y: Any) -> NDArray[np.float64]:
    import numpy as np

    return np.interp(y, (-_BELOW / BEND, 0, _BELOW, 1, 1 + (1 - _BELOW) * 4), (-1, 0, BEND, 1, 2))


def grow_from_zero(axes: Axes, linear_to: float, ticks: Sequence[float], top: float) -> None:
    """Make the y axis linear up to `linear_to` and logarithmic from there, beginning with 0."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_yscale("symlog", linthresh=linear_to, linscale=0.5)
    axes.set_ylim(-0.15 * linear_to, top)
    axes.yaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))


def faint_grid(axes: Axes, axis: Any = "both") -> None:
    """Draw a grid that stays behind."""
    axes.grid(axis=axis, color=INK, alpha=0.1, linewidth=0.6)


def whiskers(rows: pd.DataFrame) -> Any:
    """Return float64[2, rows]: lengths below and above the mean; 0 where there is no interval."""
    import numpy as np

    mean = rows["mean"].to_numpy(float)
    low = rows["low"].astype(float).fillna(rows["mean"]).to_numpy(float)
    high = rows["high"].astype(float).fillna(rows["mean"]).to_numpy(float)
    return np.clip([mean - low, high - mean], 0, None)


def line(
    axes: Axes, x: str, rows: pd.DataFrame, look: Look, size: float = 4.5, times: float = 1.0
) -> None:
    """Draw means over the column `x`, with whiskers and markers that the panel's edge leaves whole.

    Args:
        axes: where to draw.
        x: column of the x values.
        rows: as `summarise` returns them, of one line.
        look: how it is drawn.
        size: of the markers, points.
        times: what the means are multiplied by, such as 100 for per cent.
    """
    if not len(rows):
        return  # an empty line without clipping has no extent, which upsets the layout
    rows = rows.sort_values(x)
    axes.errorbar(
        rows[x].to_numpy(float),
        times * rows["mean"].to_numpy(float),
        times * whiskers(rows),
        color=look.colour,
        marker=look.marker,
        markersize=size,
        elinewidth=1,
        capsize=2.5,
        clip_on=False,
    )


def hollow(look: Look, size: float = 6.5) -> dict[str, Any]:
    """Return how the paper's points of a policy are drawn."""
    return {
        "linestyle": "none",
        "marker": look.marker,
        "markersize": size,
        "markerfacecolor": "none",
        "markeredgecolor": look.colour,
        "markeredgewidth": 1.2,
        "zorder": 4,
    }


def legend(
    figure: Figure, policies: Mapping[str, Look], extra: Sequence[Any] = (), columns: int = 7
) -> None:
    """Put one legend above all panels: the policies, then `extra` handles."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, label=name)
        for name, look in policies.items()
    ]
    figure.legend(
        handles=[*handles, *extra], loc="outside upper left", ncols=columns, handlelength=1.8
    )


def paper_handle(label: str = PAPER, marker: str = "D") -> Any:
    """Return the legend's entry for hollow markers."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **hollow(Look(INK, marker)))


def rings(axes: Axes, table: pd.DataFrame, x: str, metric: str, times: float = 1.0) -> None:
    """Draw single runs as ringed dots, over the lines of recorded ones."""
    rows = table.loc[table[metric].notna()]
    for policy, run in rows.groupby("policy", sort=False):
        at = (run[x].to_numpy(float), times * run[metric].to_numpy(float))
        style = {"linestyle": "none", "clip_on": False, "zorder": 5}
        axes.plot(
            *at, marker=".", markersize=6, color=looks([str(policy)])[str(policy)].colour, **style
        )
        axes.plot(*at, **_ring(), **style)


def ring_handle() -> Any:
    """Return the legend's entry for `rings`."""
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="none", label=LIVE, **_ring())


def _ring() -> dict[str, Any]:
    return {
        "marker": "o",
        "markersize": 11,
        "markerfacecolor": "none",
        "markeredgecolor": INK,
        "markeredgewidth": 1.4,
    }


def as_points(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return parts of a figure's points as one table with the columns `POINTS`."""
    import pandas as pd

    rows = [row for part in parts for row in part.to_dict("records")]
    return pd.DataFrame(rows, columns=list(POINTS)).astype({"n": "Int64"})


def paper_points(panel: str, curves: Mapping[str, paper.Curve]) -> pd.DataFrame:
    """Return the paper's points as rows of `POINTS`."""
    import pandas as pd

    rows = [
        {"panel": panel, "group": PAPER, "policy": policy, "x": float(x), "mean": y}
        for policy, curve in curves.items()
        for x, y in curve.items()
    ]
    return pd.DataFrame(rows, columns=list(POINTS))
