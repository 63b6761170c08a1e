"""Parts that figures share: bars with intervals, heat maps, series with a band, paper's values.

Values over seeds are averaged with `experiments.statistics.mean_interval`, so a bar and a claim
on the same runs show the same number and the same 95 % interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.figures.style import INK, Look
from experiments.statistics import mean_interval

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_BAR_SPACE = 0.8
_LONGEST = 28


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches, that lays itself out."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def empty_figure(message: str) -> Figure:
    """Return a figure that says why there is nothing to see."""
    figure = new_figure(7.0, 0.8)
    figure.text(0.005, 0.5, message, va="center", fontsize=11)
    return figure


def summarise(frame: pd.DataFrame, keys: Sequence[str], value: str) -> pd.DataFrame:
    """Return per combination of `keys` the mean of `value` over seeds: mean, low, high, n.

    Combinations come in the order in which they first appear; missing values do not count.
    """
    import pandas as pd

    rows = []
    kept = frame.loc[frame[value].notna()] if len(frame) else frame
    groups: Any = kept.groupby(list(keys), sort=False, dropna=False) if len(kept) else ()
    for key, group in groups:
        found = mean_interval([group[value].tolist()])
        named = dict(zip(keys, key, strict=True))
        rows.append(
            {**named, "mean": found.value, "low": found.low, "high": found.high, "n": found.n}
        )
    return pd.DataFrame(rows, columns=[*keys, "mean", "low", "high", "n"])


def bars(
    axes: Axes,
    summary: pd.DataFrame,
    group: str,
    series: str,
    looks: Mapping[str, Look],
    base: float = 0.0,
) -> dict[Any, float]:
    """Draw grouped bars from `base`, whiskers where there is an interval.

    Args:
        axes: where to draw.
        summary: as `summarise` returns it, with the columns `group` and `series`.
        group: column whose values stand side by side along the axis.
        series: column whose values are the bars of a group; the keys of `looks`, in order.
        looks: how each series is drawn; those without rows leave no gap.
        base: where bars start, such as 1 for ratios.

    Returns:
        The centre of each group on the x axis.
    """
    groups = list(dict.fromkeys(summary[group]))
    names = [name for name in looks if name in set(summary[series])]
    width = _BAR_SPACE / max(len(names), 1)
    for place, name in enumerate(names):
        rows = summary.loc[summary[series] == name]
        at = [groups.index(g) + bar_offset(place, len(names)) for g in rows[group]]
        heights = rows.loc[:, "mean"].to_numpy() - base
        axes.bar(at, heights, 0.9 * width, bottom=base, color=looks[name].colour, label=name)
        _whiskers(axes, at, rows)
    axes.set_xticks(range(len(groups)), [short_label(g) for g in groups])
    axes.tick_params(axis="x", length=0)
    axes.margins(x=0.03)
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
    return {name: float(place) for place, name in enumerate(groups)}


def short_label(value: Any) -> str:
    """Return a label no line of which is long enough to push the axes off the figure."""
    lines = str(value).split("\n")
    return "\n".join(f"{n[: _LONGEST - 1]}…" if len(n) > _LONGEST else n for n in lines)


def bar_offset(place: int, count: int) -> float:
    """Return how far the bar number `place` of `count` stands from its group's centre."""
    return (place - (count - 1) / 2) * _BAR_SPACE / max(count, 1)


def _whiskers(axes: Axes, at: Sequence[float], rows: pd.DataFrame) -> None:
    low, high = rows.loc[:, "low"], rows.loc[:, "high"]
    known = (low.notna() & (high != low)).to_numpy()
    if not known.any():
        return
    places = [x for x, k in zip(at, known, strict=True) if k]
    rows = rows.loc[known]
    below = (rows["mean"] - rows["low"].astype(float)).clip(lower=0)
    above = (rows["high"].astype(float) - rows["mean"]).clip(lower=0)
    axes.errorbar(
        places, rows["mean"], [below, above], fmt="none", ecolor=INK, elinewidth=1, capsize=2.5
    )


def paper_marker(
    axes: Axes, x: float, y: float, mark: str = "printed", at_least: bool = False
) -> None:
    """Mark a value of the paper: a hollow diamond, with an arrow up for "at least"."""
    known = axes.get_legend_handles_labels()[1]
    label = f"paper ({mark})"
    style = {"markerfacecolor": "none", "markeredgecolor": INK, "markeredgewidth": 1.5}
    label = "_nolegend_" if label in known else label
    axes.plot([x], [y], linestyle="none", marker="D", markersize=8, label=label, zorder=5, **style)
    if at_least:
        arrow = {"arrowstyle": "->", "color": INK, "linewidth": 1.3}
        axes.annotate(
            "",
            (x, y),
            (0, 20),
            textcoords="offset points",
            arrowprops={**arrow, "arrowstyle": "<-"},
        )


def heat_map(
    axes: Axes,
    values: np.ndarray,
    columns: Sequence[Any],
    rows: Sequence[Any],
    template: str = "{:.2f}",
    colours: str = "cividis",
    limits: tuple[float, float] | None = None,
) -> AxesImage:
    """Draw a matrix as colours with its numbers written in the cells; NaN cells stay empty.

    `limits` are the values of the first and the last colour; the least and the largest if None.
    """
    import numpy as np

    shown = np.ma.masked_invalid(values)
    low, high = limits or (None, None)
    image = axes.imshow(shown, cmap=colours, aspect="auto", vmin=low, vmax=high)
    axes.set_xticks(range(len(columns)), [str(c) for c in columns])
    axes.set_yticks(range(len(rows)), [str(r) for r in rows])
    axes.tick_params(length=0)
    for y, x in np.argwhere(np.isfinite(values)):
        red, green, blue, _ = image.to_rgba(np.array([values[y, x]]))[0]
        ink = "#ffffff" if 0.3 * red + 0.59 * green + 0.11 * blue < 0.5 else "#000000"
        axes.text(
            x, y, template.format(values[y, x]), ha="center", va="center", color=ink, fontsize=8
        )
    return image


def time_series(
    axes: Axes,
    times: np.ndarray,
    runs: Sequence[np.ndarray],
    colour: str,
    label: str,
    dashes: Any = "-",
) -> None:
    """Draw the mean of several runs over the same times, within a band from least to most.

    NaN marks times at which a run has no value; the others make the mean and the band there.
    """
    import numpy as np

    stacked = np.ma.masked_invalid(np.vstack(runs))
    if len(stacked) > 1:
        low, high = stacked.min(axis=0), stacked.max(axis=0)
        axes.fill_between(times, low, high, color=colour, alpha=0.25, linewidth=0)
    axes.plot(
        times, stacked.mean(axis=0).filled(np.nan), color=colour, label=label, linestyle=dashes
    )


def time_bins(
    starts: np.ndarray, durations: np.ndarray, values: np.ndarray, edges: np.ndarray
) -> np.ndarray:
    """Return the time-weighted mean of a step function in each bin; NaN where nothing runs.

    `values[i]` holds from `starts[i]` for `durations[i]`; the steps are in order of time.
    """
    import numpy as np

    if not len(starts):
        return np.full(len(edges) - 1, np.nan)
    corners = np.column_stack([starts, starts + durations]).ravel()
    before = np.zeros(len(starts))
    amounts = np.cumsum(np.column_stack([before, values * durations]).ravel())
    lasting = np.cumsum(np.column_stack([before, durations]).ravel())
    covered = np.diff(np.interp(edges, corners, lasting))
    total = np.diff(np.interp(edges, corners, amounts))
    return np.divide(total, covered, out=np.full(len(covered), np.nan), where=covered > 0)
