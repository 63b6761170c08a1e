"""How good the best kernel is after how many seconds of tuning, per search.

Searches time candidates each in their own way: the profiler in turn, MetaSchedule by a mean of its
own, vendors in the contest. So each curve is scaled to end at the time that its winner had in the
contest, where all were timed alike; its shape is the search's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.parts import new_figure, summarise
from experiments.figures.style import INK, Look
from experiments.figures.tuning_decisions import threads_of
from experiments.figures.tuning_parts import ENTRANTS, as_points, labelled, shape_label
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEARCHES = {
    "hardware_native": Look("#d55e00", "o"),
    "model_pruned": Look("#8a63c8", "P"),
    "random": Look("#7d8590", "v"),
    "exhaustive": Look("#2b7cc0", "s"),
    "metaschedule": ENTRANTS["metaschedule"],
}
VENDORS = ("numpy", "torch", "onednn")


def draw(results: Results) -> Figure:
    """Draw a panel per task: the best time so far over the seconds of tuning; vendors as lines."""
    table = _table(results)
    tasks = list(dict.fromkeys(table["group"]))
    figure = new_figure(4.6 * len(tasks) + 0.8, 3.7)
    panels = figure.subplots(1, len(tasks), squeeze=False)[0]
    curves = _curves(results, table)
    for axes, task in zip(panels, tasks, strict=True):
        _curves_of(axes, curves.loc[curves["group"] == task])
        _vendor_lines(axes, table.loc[table["group"] == task])
        axes.set_title(" ".join(task.split("\n")))
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("seconds of tuning")
        _plain_ticks(axes)
    panels[0].set_ylabel("best kernel so far (ms),\nscaled to end at the contest's time")
    _legend(figure, table, curves)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the curves, and the vendors' times."""
    table = _table(results)
    curves = _curves(results, table)
    parts = [curves.rename(columns={"seconds": "x", "best_ms": "mean"}).assign(panel="curve", n=1)]
    for vendor in VENDORS:
        parts.append(_vendor(table, vendor).assign(panel="vendor", policy=vendor))
    return as_points(parts)


def _table(results: Results) -> pd.DataFrame:
    return labelled(
        results,
        group=_task_of,
    )


def _task_of(config: dict[str, Any]) -> str:
    kept = "\nsame seconds" if config["by_seconds"] else ""
    return f"{shape_label(config['operator'])}\n{threads_of(config)}{kept}"


def _curves(results: Results, table: pd.DataFrame) -> pd.DataFrame:
    """Return the steps of each run's best time: group, policy, seed, seconds, best_ms.

    The last step of a run is at its time in the contest. A search that times its finalists again
    may report a longer time than before for the same kernel; that is no step.
    """
    import pandas as pd

    frame = results.series("curve", table["run_id"].tolist())
    columns = ["group", "policy", "seed", "seconds", "best_ms"]
    if not len(frame):
        return pd.DataFrame(columns=columns)
    groups = dict(zip(table["run_id"], table["group"], strict=True))
    named = [groups[run_id] for run_id in frame["run_id"]]
    ended = dict(zip(table["run_id"], table["ours_ns"], strict=True))
    runs = frame.groupby("run_id", sort=False)["best_ns"]  # in the order of the seconds
    contest = [ended[run_id] for run_id in frame["run_id"]]
    best_ms = runs.cummin() / runs.transform("min") * contest / 1e6
    frame = frame.assign(group=named, best_ms=best_ms)
    return frame.loc[:, columns]


def _curves_of(axes: Axes, curves: pd.DataFrame) -> None:
    for policy, look in SEARCHES.items():
        for _, run in curves.loc[curves["policy"] == policy].groupby("seed", sort=False):
            run = run.sort_values("seconds")
            style = {"color": look.colour, "marker": look.marker, "markersize": 3.5}
            axes.plot(run["seconds"], run["best_ms"], drawstyle="steps-post", **style)
    axes.grid(color=INK, alpha=0.1, linewidth=0.6)


def _vendor(table: pd.DataFrame, vendor: str) -> pd.DataFrame:
    """Return a vendor's ms per group; nothing where it did not take part."""
    column = f"{vendor}_ns"
    rows = table.loc[table[column].notna()]
    return summarise(rows.assign(ms=rows[column].astype(float) / 1e6), ["group"], "ms")


def _vendor_lines(axes: Axes, table: pd.DataFrame) -> None:
    for vendor in VENDORS:
        found = _vendor(table, vendor)
        if len(found):
            style = {"color": ENTRANTS[vendor].colour, "linewidth": 1.0, "linestyle": (0, (4, 2))}
            axes.axhline(float(found["mean"].iloc[0]), **style)


def _plain_ticks(axes: Axes) -> None:
    """Write numbers out; the x axis spans whole decades, so that its ticks are few."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    plain = FuncFormatter(lambda value, _: f"{value:g}")
    left, right = axes.get_xlim()
    axes.set_xlim(min(left, 1.0), max(right, 10.0))
    low, high = axes.get_ylim()
    if high / low < 20:
        axes.yaxis.set_major_locator(MaxNLocator(5))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(plain)
        axis.set_minor_formatter(NullFormatter())


def _legend(figure: Figure, table: pd.DataFrame, curves: pd.DataFrame) -> None:
    from matplotlib.lines import Line2D

    drawn = set(curves["policy"])
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, label=name)
        for name, look in SEARCHES.items()
        if name in drawn
    ]
    handles += [
        Line2D([], [], color=ENTRANTS[name].colour, linestyle=(0, (4, 2)), label=name)
        for name in VENDORS
        if len(_vendor(table, name))
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=8, handlelength=1.8)
