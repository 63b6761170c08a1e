"""Every order, a row each: throughput over DFS, share of the practical optimum, sharing kept.

The optimum is that of the manifest's engine for all rows, also for systems with an engine of
their own, and it has a row too: how far above DFS any order could get.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, Any

from experiments.figures.parts import new_figure, summarise
from experiments.figures.serving_mixes import mix_label
from experiments.figures.serving_orders import (
    BASELINE,
    as_points,
    main_model,
    relative_throughput,
    runs_table,
)
from experiments.figures.style import INK, Look, looks
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OPTIMUM = "practical optimum"
HERO = "blendserve"
SYSTEMS = ("vllm_dfs", "sglang_dfs", "sglang_lpm", "nanoflow_dfs", "nanoflow_balance")
PANELS = {
    "ratio": "Throughput over prefix_dfs",
    "share": f"Share of the {OPTIMUM}",
    "sharing_kept": "Sharing kept",
}
MODELS = "Throughput by overlap model"
_SPREAD = 0.5


def draw(results: Results) -> Figure:
    """Draw a panel per measure for the main overlap model, and one more for several models."""
    table = runs_table(results)
    summaries = _panels(results)
    rows = _rows(table, summaries["ratio"])
    several = table.loc[:, "model"].nunique() > 1
    titles = [*PANELS.values(), *([MODELS] if several else [])]
    figure = new_figure(3.6 * len(titles), 1.5 + 0.31 * len(rows))
    panels = figure.subplots(1, len(titles), sharey=True, squeeze=False)[0]
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, fontsize=10)
    for axes, (measure, summary) in zip(panels, summaries.items(), strict=False):
        _dots(axes, summary, "mix", rows)
        _axis(axes, measure)
    if several:
        _dots(panels[-1], _by_model(results), "model", rows)
        _axis(panels[-1], "ratio")
        if panels[-1].get_legend_handles_labels()[0]:
            panels[-1].legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), fontsize=8)
    _label_rows(panels[0], rows)
    _legend(figure, panels[0], main_model(table))
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the dots."""
    parts = [
        summary.assign(panel=measure).rename(columns={"mix": "group"})
        for measure, summary in _panels(results).items()
    ]
    by_model = _by_model(results).assign(panel="ratio_by_model")
    return as_points([*parts, by_model.rename(columns={"model": "group"})])


def _table(results: Results) -> pd.DataFrame:
    """Return the runs with the column `mix`, on one line."""
    labels = {
        spec.id: mix_label(spec.point, spec.config).replace("\n", ", ")
        for spec in results.plan.runs
    }
    table = runs_table(results)
    return table.assign(mix=table.loc[:, "run_id"].map(labels))


def _with_optimum(ratios: pd.DataFrame, table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Add each row's share of the manifest engine's optimum, and the optimum as a row."""
    import pandas as pd

    base = table.loc[table["policy"] == BASELINE, [*keys, "seed", "share_of_practical_optimum"]]
    best = base.rename(columns={"share_of_practical_optimum": "of_base"})
    found = ratios.merge(best, on=[*keys, "seed"])
    found = found.assign(share=found["ratio"] * found["of_base"])
    optimum = best.assign(policy=OPTIMUM, ratio=1 / best["of_base"], share=1.0)
    return pd.concat([found, optimum], ignore_index=True)


def _panels(results: Results) -> dict[str, pd.DataFrame]:
    """Return per measure the dots: columns mix, policy, mean, low, high, n."""
    table = _table(results)
    table = table.loc[table["model"] == main_model(table)]
    both = _with_optimum(relative_throughput(results, table, ["mix"]), table, ["mix"])
    return {
        "ratio": summarise(both, ["mix", "policy"], "ratio"),
        "share": summarise(both, ["mix", "policy"], "share"),
        "sharing_kept": summarise(table, ["mix", "policy"], "sharing_kept"),
    }


def _by_model(results: Results) -> pd.DataFrame:
    """Return the dots of throughput by overlap model; all pools of a seed count together."""
    import pandas as pd

    table, keys = _table(results), ["mix", "model"]
    both = _with_optimum(relative_throughput(results, table, keys), table, keys)
    groups: Any = both.groupby(["model", "policy", "seed"], sort=False)
    rows = [(*key, fmean(group["ratio"].tolist())) for key, group in groups]
    pooled = pd.DataFrame(rows, columns=["model", "policy", "seed", "ratio"])
    return summarise(pooled, ["model", "policy"], "ratio")


def _rows(table: pd.DataFrame, gains: pd.DataFrame) -> list[str]:
    """Return the rows from the bottom up: systems, then orders, each by mean gain; the optimum."""
    means = {str(name): fmean(rows["mean"].tolist()) for name, rows in gains.groupby("policy")}
    names = dict.fromkeys(str(name) for name in table["policy"])
    by_gain = sorted(names, key=lambda name: (name not in SYSTEMS, means.get(name, 0.0)))
    return [*by_gain, OPTIMUM]


def _dots(axes: Axes, summary: pd.DataFrame, series: str, rows: list[str]) -> None:
    named = list(dict.fromkeys(summary[series]))
    drawn: dict[Any, Look] = looks(named)
    for place, name in enumerate(named):
        shift = _SPREAD * (0.5 - (place + 0.5) / len(named))
        dots = summary.loc[summary[series] == name]
        at = [rows.index(policy) + shift for policy in dots["policy"]]
        known = dots["low"].fillna(dots["mean"]), dots["high"].fillna(dots["mean"])
        around = [dots["mean"] - known[0], known[1] - dots["mean"]]
        style = {"color": drawn[name].colour, "marker": drawn[name].marker, "label": name}
        axes.errorbar(
            dots["mean"], at, xerr=around, linestyle="none", markersize=5, capsize=2, **style
        )
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=INK, alpha=0.12, linewidth=0.6)
    for edge in range(1, len(rows)):
        axes.axhline(edge - 0.5, color=INK, alpha=0.07, linewidth=0.6)


def _axis(axes: Axes, measure: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if measure == "ratio":
        axes.axvline(1.0, color=INK, linewidth=1)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    factor, unit = (1, "x") if measure == "ratio" else (100, " %")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{factor * x:.3g}{unit}"))


def _label_rows(axes: Axes, rows: list[str]) -> None:
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    for name, label in zip(rows, axes.get_yticklabels(), strict=True):
        label.set_fontweight("bold" if name == HERO else "normal")
        label.set_fontstyle("italic" if name in (*SYSTEMS, OPTIMUM) else "normal")


def _legend(figure: Figure, axes: Axes, model: str) -> None:
    handles, names = axes.get_legend_handles_labels()
    title = f"{model}; 95 % interval over seeds; italic: a system's own engine, and the optimum"
    figure.legend(handles, names, loc="outside upper left", ncols=4, title=title, alignment="left")
