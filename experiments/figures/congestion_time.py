"""Figures of goodput and queueing delay over time, a small panel per policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.figures import congestion_paper as paper
from experiments.figures.congestion_parts import (
    HERE,
    LIVE,
    PAPER,
    as_points,
    faint_grid,
    hollow,
    paper_handle,
    paper_points,
    policies_of,
)
from experiments.figures.parts import new_figure
from experiments.figures.style import INK, Look
from experiments.tables import Results

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

SERIES = "over_time"
GOODPUT, DELAY = "goodput_mbps", "queue_delay_ms"
LINK = "link"
COLUMNS = 4


@dataclass(frozen=True)
class OverTime:
    """What a figure shows beside our series.

    Attributes:
        curves: the paper's points per policy, s -> Mbit/s.
        levels: the paper's means or steady states, Mbit/s.
        note: what a reader must know, in a line.
    """

    curves: Mapping[str, paper.Curve]
    levels: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


def draw(results: Results, shown: OverTime, live: pd.DataFrame | None = None) -> Figure:
    """Draw goodput and, below it, queueing delay for every policy that the plan compares.

    Args:
        results: what is drawn.
        shown: what is drawn beside it.
        live: rows like those of the results' series, measured just now; drawn as a dark line.
    """
    policies = policies_of(results)
    bands = -(-len(policies) // COLUMNS)
    columns = min(COLUMNS, len(policies))
    figure = new_figure(10.5, 0.7 + 3.1 * bands)
    panels = figure.subplots(
        2 * bands, columns, sharex=True, sharey="row", squeeze=False, height_ratios=(2, 1) * bands
    )
    frame = results.series(SERIES)
    for place, (policy, look) in enumerate(policies.items()):
        band, column = divmod(place, columns)
        above, below = panels[2 * band : 2 * band + 2, column]
        _goodput(above, frame, policy, look)
        _paper(above, policy, look, shown)
        _delay(below, frame, policy, look)
        _live(above, live, policy)
        above.set_title(policy, fontsize=9.5, color=look.colour)
        for axes in (above, below):
            faint_grid(axes)
    _label(panels, len(policies), columns)
    _legend(figure, shown, live is not None)
    return figure


def points(results: Results, shown: OverTime, live: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return the steps drawn, with least and most over seeds, and the paper's points."""
    import numpy as np
    import pandas as pd

    frame = results.series(SERIES)
    parts = []
    for policy in policies_of(results):
        for metric in (GOODPUT, DELAY):
            times, runs = by_run(frame, policy, metric)
            if len(runs):
                masked = np.ma.masked_invalid(runs)
                known = {
                    "mean": masked.mean(axis=0).filled(np.nan),
                    "low": masked.min(axis=0).filled(np.nan),
                    "high": masked.max(axis=0).filled(np.nan),
                    "n": masked.count(axis=0),
                }
                labels = {"panel": metric, "group": HERE, "policy": policy}
                parts.append(pd.DataFrame({**labels, "x": times, **known}))
    if live is not None:
        for policy in policies_of(results):
            times, runs = by_run(live, policy, GOODPUT)
            if len(runs):
                labels = {"panel": GOODPUT, "group": LIVE, "policy": policy, "n": len(runs)}
                parts.append(pd.DataFrame({**labels, "x": times, "mean": runs.mean(axis=0)}))
    parts.append(paper_points(GOODPUT, shown.curves))
    levels = [
        {"panel": GOODPUT, "group": f"{PAPER}, level", "policy": policy, "mean": level}
        for policy, level in shown.levels.items()
    ]
    return as_points([*parts, pd.DataFrame(levels)])


def by_run(
    frame: pd.DataFrame, policy: str, metric: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return starts of bins, s, and [runs, bins]: goodput summed, delay averaged over flows."""
    import numpy as np

    if not len(frame):
        return np.empty(0), np.empty((0, 0))
    rows = frame.loc[(frame["policy"] == policy) & (frame["name"] != LINK)]
    if not len(rows):
        return np.empty(0), np.empty((0, 0))
    groups: Any = rows.groupby(["run_id", "start_s"], sort=True)[metric]
    values = (groups.sum() if metric == GOODPUT else groups.mean()).unstack("start_s")
    return values.columns.to_numpy(float), values.to_numpy(float)


def step_band(
    axes: Axes, times: NDArray[np.float64], runs: NDArray[np.float64], look: Look
) -> None:
    """Draw the mean of runs as steps, within a band from least to most."""
    import numpy as np

    if not len(runs):
        axes.text(0.5, 0.5, "not run", ha="center", va="center", transform=axes.transAxes)
        return
    width = times[1] - times[0] if len(times) > 1 else 1.0
    edges = np.append(times, times[-1] + width)
    masked = np.ma.masked_invalid(runs)
    mean, low, high = masked.mean(axis=0), masked.min(axis=0), masked.max(axis=0)
    if len(runs) > 1:
        ends = [np.ma.append(part, part[-1]) for part in (low, high)]
        axes.fill_between(edges, *ends, step="post", color=look.colour, alpha=0.25, linewidth=0)
    axes.stairs(mean.filled(np.nan), edges, color=look.colour, linewidth=1.3, baseline=None)


def _goodput(axes: Axes, frame: pd.DataFrame, policy: str, look: Look) -> None:
    import numpy as np

    step_band(axes, *by_run(frame, policy, GOODPUT), look)
    rows = frame.loc[frame["name"] == LINK] if len(frame) else frame
    if len(rows):
        grouped: Any = rows.groupby("start_s", sort=True)[GOODPUT]
        capacity = grouped.mean()
        times = capacity.index.to_numpy(float)
        edges = np.append(times, 2 * times[-1] - times[-2] if len(times) > 1 else times[-1] + 1)
        axes.stairs(capacity.to_numpy(), edges, color=INK, alpha=0.6, linewidth=0.8, baseline=None)
    axes.set_ylim(bottom=0)


def _delay(axes: Axes, frame: pd.DataFrame, policy: str, look: Look) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    step_band(axes, *by_run(frame, policy, DELAY), look)
    axes.set_yscale("symlog", linthresh=1, linscale=0.5)
    axes.set_ylim(0, 1000)
    axes.yaxis.set_major_locator(FixedLocator([0, 1, 10, 100, 1000]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))


def _live(axes: Axes, live: pd.DataFrame | None, policy: str) -> None:
    if live is None:
        return
    times, runs = by_run(live, policy, GOODPUT)
    if len(runs):
        axes.plot(times, runs.mean(axis=0), color=INK, linewidth=1.4, drawstyle="steps-post")


def _paper(axes: Axes, policy: str, look: Look, shown: OverTime) -> None:
    if curve := shown.curves.get(policy):
        style = hollow(Look(INK, look.marker))
        axes.plot(list(curve), list(curve.values()), **style, clip_on=False)
    if policy in shown.levels:
        axes.axhline(shown.levels[policy], color=INK, linewidth=1.1, linestyle=(0, (1, 1.5)))


def _label(panels: NDArray[np.object_], count: int, columns: int) -> None:
    for row, line in enumerate(panels):
        line[0].set_ylabel("goodput\n(Mbit/s)" if row % 2 == 0 else "queueing\ndelay (ms)")
    for place in range(count, panels.shape[0] // 2 * columns):
        band, column = divmod(place, columns)
        for axes in panels[2 * band : 2 * band + 2, column]:
            axes.set_axis_off()
    for column in range(columns):
        last = max(p // columns for p in range(count) if p % columns == column)
        axes = panels[2 * last + 1, column]
        axes.set_xlabel("time (s)")
        axes.tick_params(labelbottom=True)


def _legend(figure: Figure, shown: OverTime, live: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=INK, alpha=0.6, linewidth=0.8, label="capacity"),
        Patch(facecolor=INK, alpha=0.25, label="least to most over seeds"),
        paper_handle(),
    ]
    if live:
        handles.append(Line2D([], [], color=INK, linewidth=1.4, label=LIVE))
    if shown.levels:
        dots = {"color": INK, "linewidth": 1.1, "linestyle": (0, (1, 1.5))}
        handles.append(Line2D([], [], label=f"{PAPER}: mean or steady state", **dots))
    figure.legend(handles=handles, loc="outside upper left", ncols=5, title=shown.note or None)
