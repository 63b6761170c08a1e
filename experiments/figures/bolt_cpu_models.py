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

SPEED = {
    OURS: (None, ENTRANTS[OURS]),
    "epilogues only": ("epilogues_ms", Look("#b47d0a", "X")),
    "without passes": ("plain_ms", Look("#7d8590", "v")),
    "PyTorch, frozen": ("frozen_ms", Look("#2b7cc0", "s")),
}
"""Bar -> column of its ms; ours has a ratio of its own."""
RIVAL = "MetaSchedule, extrapolated"
TIMES = {
    "from nothing": ("build_s", Look("#8a63c8", "P")),
    "from records": ("replay_s", Look("#0d9a73", "^")),
    RIVAL: ("metaschedule_s", ENTRANTS["metaschedule"]),
}
LIMIT_S = 1200.0
"""The paper's 20 minutes."""


def draw(results: Results) -> Figure:
    """Draw speed over eager PyTorch, with all passes and fewer, and seconds of building."""
    speed, times = _speed(results), _times(results)
    count = len(set(speed["group"]))
    figure = new_figure(max(9.0, 1.7 * count + 1.5), 3.7)
    left, right = figure.subplots(1, 2)
    ratio_bars(left, speed, {n: look for n, (_, look) in SPEED.items()}, "speed, eager PyTorch = 1")
    left.set_title("Against eager PyTorch with oneDNN (line)")
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
    for name, (column, _) in SPEED.items():
        if column is not None and table[column].notna().to_numpy().any():
            other = table.assign(ratio=table["eager_ms"] / table[column].astype(float))
            parts.append(summarise(other, ["group"], "ratio").assign(policy=name))
    return pd.concat(parts, ignore_index=True)


def _times(results: Results) -> pd.DataFrame:
    import pandas as pd

    table = _table(results)
    parts = [
        summarise(table, ["group"], column).assign(policy=name)
        for name, (column, _) in TIMES.items()
        if table[column].notna().to_numpy().any()
    ]
    times = pd.concat(parts, ignore_index=True)
    rival = times["policy"] == RIVAL
    for end in ("low", "high"):  # what is extrapolated is a range
        ends = summarise(table, ["group"], f"metaschedule_{end}_s").set_index("group")["mean"]
        times[end] = times[end].astype(float)
        times.loc[rival, end] = [ends[group] for group in times.loc[rival, "group"]]
    return times


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
