"""Speed of the tuned kernel and of its rivals over the fastest vendor's library, shape by shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.parts import new_figure, summarise
from experiments.figures.tuning_parts import (
    COLUMNS,
    ENTRANTS,
    OURS,
    as_points,
    labelled,
    melted,
    ratio_bars,
    shape_label,
)
from experiments.statistics import geometric_mean_interval
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """Draw a panel per number of threads: bars per shape, 1 is the fastest vendor's library."""
    parts = _panels(results)
    most = max(len(set(part["group"])) for part in parts.values())
    figure = new_figure(max(6.5, 1.15 * most + 1.5), 3.1 * len(parts) + 0.4)
    panels = figure.subplots(len(parts), 1, squeeze=False)[:, 0]
    for axes, (name, summary) in zip(panels, parts.items(), strict=True):
        ratio_bars(axes, summary, ENTRANTS, "speed, fastest vendor = 1")
        axes.set_title(name)
        _say_means(axes, results, name)
        _say_cut(axes, results, name)
    handles: dict[str, Any] = {}
    for axes in panels:
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(
        list(handles.values()), list(handles), loc="outside upper left", ncols=5, handlelength=1.2
    )
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the bars."""
    return as_points([part.assign(panel=name) for name, part in _panels(results).items()])


def _table(results: Results) -> pd.DataFrame:
    """Return the runs with their group (the shape) and panel (family and threads)."""
    return labelled(
        results,
        group=lambda config: shape_label(config["operator"]),
        panel=lambda config: _panel(config),
    )


def _panel(config: dict[str, Any]) -> str:
    threads = config["threads"]
    words = f"{threads} thread{'s' if threads > 1 else ''}"
    return f"{config['family']}, {words}" if config["family"] else words


def _panels(results: Results) -> dict[str, pd.DataFrame]:
    """Return panel -> bars: mean over seeds of the fastest vendor's time over the entrant's.

    Ours is the median over rounds. Its interval is over seeds; with one seed, over rounds.
    """
    table = _table(results)
    ratio = "speedup_over_fastest_vendor"
    rows = melted(table, COLUMNS, ["panel", "group", "seed", "fastest_vendor_ns", ratio])
    speed = rows["fastest_vendor_ns"] / rows["ns"]
    rows = rows.assign(speed=speed.where(rows["entrant"] != OURS, rows[ratio]))
    rows = rows.assign(policy=rows["entrant"])
    return {
        str(name): _with_rounds(summarise(part, ["group", "policy"], "speed"), table, str(name))
        for name, part in rows.groupby("panel", sort=False)
    }


def _with_rounds(summary: pd.DataFrame, table: pd.DataFrame, panel: str) -> pd.DataFrame:
    """Return the bars; those of ours of one run have its interval over rounds."""
    own = table.loc[table["panel"] == panel].set_index("group")
    single = (summary["policy"] == OURS) & (summary["n"] == 1)
    for end in ("low", "high"):
        column = own[f"speedup_over_fastest_vendor_{end}"]
        values = [column.loc[[group]].iloc[0] for group in summary.loc[single, "group"]]
        summary[end] = summary[end].astype(float)
        summary.loc[single, end] = values
    return summary


def _say_cut(axes: Axes, results: Results, panel: str) -> None:
    """Name the shapes where MetaSchedule was ended by its seconds."""
    table = _table(results)
    cut = table.loc[(table["panel"] == panel) & (table["metaschedule_cut"] == 1)]
    if len(cut):
        shapes = ", ".join(group.replace("\n", " ") for group in dict.fromkeys(cut["group"]))
        words = f"metaschedule cut off by its seconds: {shapes}"
        axes.set_xlabel(words, fontsize=8, alpha=0.75)


def _say_means(axes: Axes, results: Results, panel: str) -> None:
    """Write the geometric mean of our bars at the right of the title."""
    table = _table(results)
    own = table.loc[(table["panel"] == panel) & table["speedup_over_fastest_vendor"].notna()]
    groups = [
        part["speedup_over_fastest_vendor"].tolist() for _, part in own.groupby("group", sort=False)
    ]
    found = geometric_mean_interval(groups) if groups else None
    if found is not None:
        words = f"geometric mean of {OURS}: {found.value:.2f}x"
        axes.set_title(words, loc="right", fontsize=8.5, fontweight="normal", alpha=0.75)
