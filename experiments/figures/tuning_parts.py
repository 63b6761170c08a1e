"""What the figures of kernel tuning share: names of operators, looks, ratios over a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.claims import holds
from experiments.figures.parts import bars, paper_marker, summarise
from experiments.figures.style import INK, Look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

POINTS = ("panel", "group", "policy", "x", "mean", "low", "high", "n")
OURS = "templates"
ENTRANTS = {
    OURS: Look("#d55e00", "o"),
    "numpy": Look("#7d8590", "v"),
    "torch": Look("#2b7cc0", "s"),
    "onednn": Look("#0d9a73", "^"),
    "metaschedule": Look("#bf5f9e", "D"),
}
"""Who takes part in a contest, and how it is drawn."""
COLUMNS = {OURS: "ours_ns"} | {name: f"{name}_ns" for name in ENTRANTS if name != OURS}
CHOICE = {False: Look("#7d8590", "v"), True: Look("#d55e00", "o")}
"""What the tuner left as it was, and what it applied."""


def shape_label(operator: Mapping[str, Any]) -> str:
    """Return a short name of a configured operator, on at most two lines."""
    if operator["kind"] == "gemm":
        return f"{operator['m']}x{operator['n']}x{operator['k']}"
    kernel, stride = (_two(operator[name]) for name in ("kernel", "stride"))
    image = f"{operator['height']}x{operator['width']}"
    channels = f"{operator['in_channels']}-{operator['out_channels']}"
    return f"{image} {channels}\n{kernel}" + ("" if stride == "1" else f" s{stride}")


def _two(pair: Sequence[int]) -> str:
    rows, columns = pair
    if rows == columns == 1:
        return "1"
    return f"{rows}x{columns}" if rows != columns or rows > 2 else f"{rows}"


def labelled(results: Results, **columns: Any) -> pd.DataFrame:
    """Return the table of runs with a column per keyword: a function of a run's configuration."""
    configs = {spec.id: spec.config for spec in results.plan.runs}
    chosen = [configs[run_id] for run_id in results.table["run_id"]]
    made = {name: [make(config) for config in chosen] for name, make in columns.items()}
    return results.table.assign(**made)


def melted(table: pd.DataFrame, columns: Mapping[str, str], keys: Sequence[str]) -> pd.DataFrame:
    """Return one row per run and entrant with its ns; entrants that did not take part have none."""
    import pandas as pd

    parts = [
        table.loc[table[column].notna(), [*keys, column]]
        .rename(columns={column: "ns"})
        .assign(entrant=name)
        for name, column in columns.items()
        if column in table
    ]
    return pd.concat(parts, ignore_index=True)


def as_points(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return parts of a figure's points as one table with the columns `POINTS`."""
    import pandas as pd

    rows = [row for part in parts for row in part.to_dict("records")]
    return pd.DataFrame(rows, columns=list(POINTS)).astype({"n": "Int64"})


def ratio_bars(
    axes: Axes, summary: pd.DataFrame, looks: Mapping[str, Look], label: str
) -> dict[Any, float]:
    """Draw bars of ratios by `group` and `policy`, and the line at 1."""
    places = bars(axes, summary, "group", "policy", looks)
    axes.axhline(1.0, color=INK, linewidth=1.0)
    axes.set_ylabel(label)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:g}x")
    return places


def speedups(table: pd.DataFrame, applied: str) -> pd.DataFrame:
    """Return `speedup` per `group`: mean, interval, and whether `applied` held in most runs."""
    found = summarise(table, ["group"], "speedup")
    share = summarise(table, ["group"], applied)
    chosen = [bool(mean >= 0.5) for mean in share["mean"]]
    return found.assign(applied=chosen)


def decision_bars(axes: Axes, summary: pd.DataFrame, words: tuple[str, str]) -> dict[Any, float]:
    """Draw bars of speed-ups, coloured by what the tuner decided: `words` for no and yes."""
    import pandas as pd

    looks = {words[0]: CHOICE[False], words[1]: CHOICE[True]}
    places: dict[Any, float] = {}
    for place, row in enumerate(summary.to_dict("records")):
        word = words[int(row["applied"])]
        axes.bar(place, row["mean"], 0.62, color=looks[word].colour)
        if pd.notna(row["low"]) and row["low"] != row["high"]:
            ends = [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]
            axes.errorbar([place], [row["mean"]], ends, fmt="none", ecolor=INK, capsize=2.5)
        places[row["group"]] = float(place)
    axes.axhline(1.0, color=INK, linewidth=1.0)
    axes.set_xticks(range(len(places)), [str(name) for name in places])
    axes.set_xlim(-0.6, max(len(places), 3) - 0.4)
    axes.tick_params(axis="x", length=0)
    axes.yaxis.set_major_formatter("{x:g}x")
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
    return places


def decision_legend(figure: Any, words: tuple[str, str], axes: Axes) -> None:
    """Put a legend of both decisions and of the paper's markers above all panels."""
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(color=look.colour, label=word)
        for word, look in zip(words, CHOICE.values(), strict=True)
    ]
    handles += [h for h in axes.get_legend_handles_labels()[0] if not isinstance(h, Patch)]
    figure.legend(handles=handles, loc="outside upper left", ncols=4, handlelength=1.2)


def paper_markers(axes: Axes, places: Mapping[Any, float], values: Mapping[Any, float]) -> None:
    """Mark the paper's ratios, which are remembered, where their group is drawn."""
    for group, place in places.items():
        if group in values:
            paper_marker(axes, place, values[group], "remembered")


def paper_values(results: Results, metric: str, label: Any) -> dict[Any, float]:
    """Return group -> the paper's value, from the claims on `metric` that name points.

    `label` makes a run's group of its configuration.
    """
    found = {}
    for claim in results.manifest.claims:
        where = claim.statistic.where
        if claim.metric != metric or not where or claim.paper.mark != "remembered":
            continue
        for spec in results.plan.runs:
            if holds(spec.point, spec.config, where):
                found[label(spec.config)] = claim.paper.value
    return found
