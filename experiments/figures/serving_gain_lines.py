"""Throughput over DFS along one axis of a sweep, a line per mix and order, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import new_figure, summarise
from experiments.figures.serving_mixes import mix_label
from experiments.figures.serving_orders import (
    BASELINE,
    as_points,
    policies_of,
    policy_legend,
    relative_throughput,
    runs_table,
)
from experiments.figures.style import INK
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(results: Results, axis: str, label: str, *, logarithmic: bool = False) -> Figure:
    """Draw a panel per mix: throughput over DFS by the sweep's `axis`."""
    policies, summary = policies_of(results), _summary(results, axis)
    mixes = list(dict.fromkeys(summary["mix"]))
    figure = new_figure(8.5, 3.5)
    panels = figure.subplots(1, max(1, len(mixes)), sharey=True, squeeze=False)[0]
    for axes, mix in zip(panels, mixes, strict=False):
        for policy, own in policies.items():
            rows = summary.loc[(summary["mix"] == mix) & (summary["policy"] == policy)]
            low, high = rows["low"].fillna(rows["mean"]), rows["high"].fillna(rows["mean"])
            spread = [(rows["mean"] - low).clip(lower=0), (high - rows["mean"]).clip(lower=0)]
            style = {"color": own.colour, "marker": own.marker, "markersize": 5, "capsize": 2.5}
            axes.errorbar(rows[axis], rows["mean"], spread, label=policy, **style)
        axes.set_title(mix.replace("\n", ", "))
        axes.set_xlabel(label)
        if logarithmic:
            _logarithmic(axes, sorted(set(summary[axis])))
        axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
    panels[0].set_ylabel(f"throughput over {BASELINE}")
    policy_legend(figure, panels[0])
    return figure


def points(results: Results, axis: str) -> pd.DataFrame:
    """Return the lines, x being the sweep's `axis`."""
    rows = _summary(results, axis).rename(columns={"mix": "group", axis: "x"})
    rows["group"] = rows["group"].str.replace("\n", " ")
    return as_points([rows.assign(panel="throughput_ratio")])


def _logarithmic(axes: Axes, ticks: list[float]) -> None:
    from matplotlib.ticker import NullFormatter

    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{t / 1000:g}k" if t >= 1000 else f"{t:g}" for t in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())


def _summary(results: Results, axis: str) -> pd.DataFrame:
    labels = {spec.id: mix_label(spec.point, spec.config) for spec in results.plan.runs}
    table = runs_table(results)
    table = table.assign(mix=table.loc[:, "run_id"].map(labels))
    ratios = relative_throughput(results, table, ["mix", axis])
    return summarise(ratios, ["mix", "policy", axis], "ratio")
