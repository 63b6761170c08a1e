"""Whole networks: speed over PyTorch, what the passes are worth, how long tuning takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.parts import bars, new_figure, summarise
from experiments.figures.style import INK, Look
from experiments.figures.tuning_parts import ENTRANTS, OURS, as_points, labelled, ratio_bars
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLAIN = "without passes"
SPEED = {OURS: ENTRANTS[OURS], PLAIN: Look("#b47d0a", "X")}
TIMES = {
    "from nothing": ("build_s", Look("#8a63c8", "P")),
    "from records": ("replay_s", Look("#0d9a73", "^")),
    "MetaSchedule, extrapolated": ("metaschedule_s", ENTRANTS["metaschedule"]),
}
LIMIT_S = 1200.0
"""The paper's 20 minutes."""


def draw(results: Results) -> Figure:
    """Draw speed over PyTorch with and without the passes, and seconds of building."""
    speed, times = _speed(results), _times(results)
    count = len(set(speed["group"]))
    figure = new_figure(max(9.0, 1.7 * count + 1.5), 3.7)
    left, right = figure.subplots(1, 2)
    ratio_bars(left, speed, SPEED, "speed, PyTorch = 1")
    left.set_title("Against PyTorch with oneDNN (line)")
    _seconds(right, times)
    handles: dict[str, Any] = {}
    for axes in (left, right):
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(
        list(handles.values()), list(handles), loc="outside upper left", ncols=6, handlelength=1.2
    )
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the bars."""
    return as_points([_speed(results).assign(panel="speed"), _times(results).assign(panel="s")])


def _table(results: Results) -> pd.DataFrame:
    return labelled(results, group=lambda config: config["model"])


def _speed(results: Results) -> pd.DataFrame:
    import pandas as pd

    table = _table(results)
    parts = [summarise(table, ["group"], "speedup_over_eager").assign(policy=OURS)]
    if table["plain_ms"].notna().to_numpy().any():
        plain = table.assign(ratio=table["eager_ms"] / table["plain_ms"])
        parts.append(summarise(plain, ["group"], "ratio").assign(policy=PLAIN))
    return pd.concat(parts, ignore_index=True)


def _times(results: Results) -> pd.DataFrame:
    import pandas as pd

    table = _table(results)
    parts = [
        summarise(table, ["group"], column).assign(policy=name)
        for name, (column, _) in TIMES.items()
        if table[column].notna().to_numpy().any()
    ]
    return pd.concat(parts, ignore_index=True)


def _seconds(axes: Axes, times: pd.DataFrame) -> None:
    from matplotlib.ticker import FuncFormatter

    bars(axes, times, "group", "policy", {name: look for name, (_, look) in TIMES.items()})
    axes.set_yscale("log")
    axes.axhline(LIMIT_S, color=INK, linewidth=1.0, linestyle=(0, (4, 2)))
    label = {"va": "bottom", "ha": "right", "fontsize": 8, "alpha": 0.75}
    axes.text(0.99, LIMIT_S, "20 minutes", transform=axes.get_yaxis_transform(), **label)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    axes.set_title("Time to build the network")
    axes.set_ylabel("seconds, all tuning included")
