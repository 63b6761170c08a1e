"""What the figures of request orders share: throughput gains, prefix hits, use over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.claims import paired
from experiments.figures.parts import bars, new_figure, summarise, time_bins, time_series
from experiments.figures.style import COMPUTE, INK, MEMORY, Look, looks
from experiments.tables import Results

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BASELINE = "prefix_dfs"
THROUGHPUT = "throughput_tokens_s"
POINTS = ("panel", "group", "policy", "x", "mean", "low", "high", "n")
_BINS = 80
_LEAST_RANGE = 0.02  # a difference of tenths of a per cent must not fill the panel
_MODELS = {"sum": "no overlap (sum)", "max": "perfect overlap (max)", "partial": "partial overlap"}


def policies_of(results: Results) -> dict[str, Look]:
    """Return the policies that the plan compares, in its order, and how they are drawn."""
    return looks(str(spec.config["policy"]) for spec in results.plan.runs)


def overlap_label(config: dict[str, Any]) -> str:
    """Return what the overlap model of a resolved run is called."""
    model = config.get("overlap")
    model = model if isinstance(model, dict) else {"kind": model}
    name = _MODELS.get(str(model.get("kind")), str(model.get("kind")))
    hidden = model.get("h")
    return name if hidden is None else f"{name}, h = {hidden:g}"


def runs_table(results: Results) -> pd.DataFrame:
    """Return the table of runs with the column `model`, the overlap model in words."""
    labels = {spec.id: overlap_label(spec.config) for spec in results.plan.runs}
    return results.table.assign(model=results.table.loc[:, "run_id"].map(labels))


def main_model(table: pd.DataFrame) -> str:
    """Return the overlap model for panels that show one only: the partial one, if there."""
    models = list(dict.fromkeys(table["model"]))
    return next((m for m in models if m.startswith(_MODELS["partial"])), models[0])


def relative_throughput(
    results: Results, table: pd.DataFrame, columns: Sequence[str]
) -> pd.DataFrame:
    """Return throughput over that of `prefix_dfs`, paired by point of the sweep and seed.

    Columns: `columns`, which are functions of the point, then policy, seed, ratio. Empty where
    the baseline has not run.
    """
    import pandas as pd

    axes = [name for spec in results.plan.runs[:1] for name in spec.point if name not in columns]
    keys = [*columns, *(name for name in axes if name in table)]
    found = []
    for policy in policies_of(results):
        pairs, _ = paired(table, THROUGHPUT, policy, BASELINE, keys)
        pairs = pairs[pairs["b"] > 0]
        found.append(pairs.assign(policy=policy, ratio=pairs["a"] / pairs["b"]))
    return pd.concat(found).loc[:, [*columns, "policy", "seed", "ratio"]]


def gains_panel(
    axes: Axes, summary: pd.DataFrame, group: str, policies: dict[str, Look]
) -> dict[Any, float]:
    """Draw throughput against the baseline, which is the line that the bars start from."""
    others = {name: own for name, own in policies.items() if name != BASELINE}
    places = bars(
        axes, summary.loc[summary["policy"] != BASELINE], group, "policy", others, base=1.0
    )
    axes.axhline(
        1.0, color=policies[BASELINE].colour if BASELINE in policies else INK, linewidth=1.6
    )
    gains_axis(axes)
    axes.use_sticky_edges = False
    axes.margins(y=0.12)
    axes.update_datalim([(0, 1 - _LEAST_RANGE), (0, 1 + _LEAST_RANGE)], updatex=False)
    if not len(summary):
        axes.text(0.5, 0.5, f"{BASELINE} has not run", ha="center", transform=axes.transAxes)
    return places


def gains_axis(axes: Axes) -> None:
    """Make the y axis one of ratios to the baseline, written as gains in per cent."""
    from matplotlib.ticker import FuncFormatter

    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: signed(100 * (y - 1))))
    axes.set_ylabel(f"throughput against {BASELINE}")


def signed(percent: float) -> str:
    """Return a difference in per cent with its sign, as on axes of ratios."""
    sign = "+" if percent > 0 else "\N{MINUS SIGN}"
    return "0 %" if abs(percent) < 1e-9 else f"{sign}{abs(percent):.3g} %"


def share_axis(axes: Axes, label: str, least_top: float = 1.08) -> None:
    """Make the y axis one of shares, in per cent, from 0 to at least `least_top`."""
    from matplotlib.ticker import FuncFormatter

    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g} %"))
    axes.set_ylabel(label)
    axes.set_ylim(0, max(least_top, axes.get_ylim()[1]))


def explain_whiskers(axes: Axes, summary: pd.DataFrame) -> None:
    """Say at the right what the whiskers are, if there are any."""
    low, high = summary.loc[:, "low"], summary.loc[:, "high"]
    known = low.notna() & (low != high)
    if known.any():
        words = "whiskers: 95 % interval over seeds"
        axes.set_title(words, loc="right", fontsize=8.5, fontweight="normal", alpha=0.75)


def policy_legend(figure: Figure, axes: Axes) -> None:
    """Put one legend for all panels above them, bars first."""
    from matplotlib.lines import Line2D

    found = zip(*axes.get_legend_handles_labels(), strict=True)
    found = sorted(found, key=lambda pair: isinstance(pair[0], Line2D))
    if found:
        handles, names = zip(*found, strict=True)
        figure.legend(handles, names, loc="outside upper left", ncols=7, handlelength=1.2)


def use_over_time(
    results: Results, run_ids: Sequence[str], edges: np.ndarray
) -> dict[str, list[np.ndarray]]:
    """Return for `compute` and `memory` each run's busy share per bin; NaN after its end."""
    import numpy as np

    found: dict[str, list[np.ndarray]] = {"compute": [], "memory": []}
    frame = results.series("use_over_time", run_ids)
    for _, run in frame.groupby("run_id", sort=False) if len(frame) else ():
        ends = run["end_s"].to_numpy(float)
        starts = np.concatenate([[0.0], ends[:-1]])
        for name, shares in found.items():
            shares.append(
                time_bins(starts, ends - starts, run[f"{name}_share"].to_numpy(float), edges)
            )
    return found


def time_edges(table: pd.DataFrame) -> tuple[np.ndarray, float, str]:
    """Return bin edges in seconds up to the longest run, and the unit to show them in."""
    import numpy as np

    longest = float(table.loc[:, "makespan_s"].max())
    seconds, unit = next(
        ((s, u) for s, u in ((3600.0, "h"), (60.0, "min")) if longest >= 2 * s), (1.0, "s")
    )
    return np.linspace(0.0, longest, _BINS + 1), seconds, unit


def draw_trace(results: Results) -> Figure:
    """Draw the figure of orders on one trace: gains, prefix hits, use of the GPU over time."""
    table, policies = runs_table(results), policies_of(results)
    figure = new_figure(10.5, 6.4)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.2, 1))[:, 0]
    gains, hits = above.subplots(1, 2, width_ratios=(2.2, 1))
    summary = summarise(
        relative_throughput(results, table, ["model"]), ["model", "policy"], "ratio"
    )
    gains_panel(gains, summary, "model", policies)
    gains.set_title("Throughput by overlap model")
    explain_whiskers(gains, summary)
    _hits_panel(hits, table, policies)
    model = main_model(table)
    below.suptitle(
        f"GPU in use over time, {model}", x=0.01, ha="left", fontsize=10.5, weight="bold"
    )
    panels = below.subplots(1, len(policies), sharey=True, squeeze=False)[0]
    for axes, (policy, own) in zip(panels, policies.items(), strict=True):
        _use_panel(axes, results, table.loc[table["model"] == model], policy, own)
    share_axis(panels[0], "busy share")
    handles, names = next((h for a in panels if (h := a.get_legend_handles_labels())[0]), ([], []))
    below.legend(handles, names, loc="upper right", ncols=2, borderaxespad=0.1)
    policy_legend(figure, hits)
    return figure


def _hits_panel(axes: Axes, table: pd.DataFrame, policies: dict[str, Look]) -> None:
    chosen = table.loc[table["model"] == main_model(table)].assign(group="")
    bars(
        axes,
        summarise(chosen, ["group", "policy"], "prefix_hit_ratio"),
        "group",
        "policy",
        policies,
    )
    most = float(chosen.loc[:, "max_sharing"].mean()) if "max_sharing" in chosen else float("nan")
    if most == most:
        axes.axhline(most, color=INK, linewidth=1, linestyle=(0, (4, 3)), label="most possible")
    share_axis(axes, "prompt tokens found in the cache", 1.12 * most if most > 0 else 0.1)
    if most == 0:
        axes.text(0.5, 0.5, "no prompts share a prefix", ha="center", transform=axes.transAxes)
    axes.set_title("Prefix hits")


def _use_panel(axes: Axes, results: Results, table: pd.DataFrame, policy: str, own: Look) -> None:
    edges, seconds, unit = time_edges(table)
    ids = table.loc[table["policy"] == policy, "run_id"].tolist()
    use = use_over_time(results, ids, edges)
    middles = (edges[1:] + edges[:-1]) / 2 / seconds
    for name, colour, dashes in (("compute", COMPUTE, "-"), ("memory", MEMORY, (0, (3, 1.2)))):
        if use[name]:
            time_series(axes, middles, use[name], colour, name, dashes)
    if not use["compute"]:
        axes.text(0.5, 0.5, "not run", ha="center", transform=axes.transAxes)
    axes.set_xlabel(f"time ({unit})")
    axes.set_title(policy, fontsize=9.5, color=own.colour)
    axes.set_xlim(0, edges[-1] / seconds)
    axes.grid(color=INK, alpha=0.1, linewidth=0.6)


def trace_points(results: Results) -> pd.DataFrame:
    """Return the points of `draw_trace`, one row each."""
    import numpy as np
    import pandas as pd

    table = runs_table(results)
    ratios = relative_throughput(results, table, ["model"])
    chosen = table.loc[table["model"] == main_model(table)]
    parts = [
        summarise(ratios, ["model", "policy"], "ratio").assign(panel="throughput_ratio"),
        summarise(chosen, ["model", "policy"], "prefix_hit_ratio").assign(panel="prefix_hit_ratio"),
    ]
    parts = [part.rename(columns={"model": "group"}) for part in parts]
    edges, _, _ = time_edges(chosen)
    for policy in policies_of(results):
        use = use_over_time(
            results, chosen.loc[chosen["policy"] == policy, "run_id"].tolist(), edges
        )
        for name, runs in use.items():
            if runs:
                lines = {
                    "panel": f"{name}_busy_share",
                    "group": main_model(table),
                    "policy": policy,
                }
                x, stacked = (edges[1:] + edges[:-1]) / 2, np.ma.masked_invalid(np.vstack(runs))
                known = {"mean": stacked.mean(axis=0).filled(np.nan), "n": stacked.count(axis=0)}
                parts.append(pd.DataFrame({**lines, "x": x, **known}))
    return as_points(parts)


def as_points(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return parts of a figure's points as one table with the columns `POINTS`."""
    import pandas as pd

    rows = [row for part in parts for row in part.to_dict("records")]
    return pd.DataFrame(rows, columns=list(POINTS)).astype({"n": "Int64"})
