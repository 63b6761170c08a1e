"""Orders compared on the paper's mixes #1 to #4, laid out as its Fig. 7.

The paper's own numbers are those of the manifest's claims over all four mixes; the bars of its
figure exist only as an image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.parts import bar_offset, bars, new_figure, paper_marker, summarise
from experiments.figures.serving_orders import (
    BASELINE,
    THROUGHPUT,
    as_points,
    explain_whiskers,
    gains_panel,
    main_model,
    policies_of,
    policy_legend,
    relative_throughput,
    runs_table,
    share_axis,
)
from experiments.manifest import PaperValue
from experiments.statistics import mean_interval
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ALL = "mean of\nthe mixes"
HERO = "blendserve"
NUMBERS: dict[tuple[Any, Any], str] = {
    (1.4, 0.35): "#1",
    (0.9, 0.35): "#2",
    (1.4, 0.05): "#3",
    (0.9, 0.05): "#4",
}
# Metric -> title, axis label, whether the paper prints "more than".
SHARES = {
    "share_of_practical_optimum": (
        "Share of the optimum under the engine's own overlap",
        "of the practical optimum",
        False,
    ),
    "sharing_kept": ("Sharing kept", "of the most possible sharing", True),
}


def draw(results: Results) -> Figure:
    """Draw throughput by mix above, share of the optimum and sharing kept below."""
    policies = policies_of(results)
    figure = new_figure(10.5, 6.6)
    mosaic = figure.subplot_mosaic([["gain", "gain"], [*SHARES]], height_ratios=(1.2, 1))
    for panel, summary in _panels(results).items():
        axes = mosaic[panel]
        if panel == "gain":
            places = gains_panel(axes, summary, "mix", policies)
            axes.set_title(f"Throughput, {main_model(runs_table(results))}")
            explain_whiskers(axes, summary)
        else:
            title, label, _ = SHARES[panel]
            places = bars(axes, summary, "mix", "policy", policies)
            axes.set_xticks([*places.values()], [_short(name) for name in places])
            axes.set_title(title)
            share_axis(axes, label)
        absent = () if panel != "gain" else (BASELINE,)
        drawn = [name for name in policies if name in set(summary["policy"]) and name not in absent]
        _mark_paper(axes, results, panel, places.get(ALL), drawn)
    policy_legend(figure, mosaic["sharing_kept"])
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the bars and the paper's values."""
    import pandas as pd

    parts = []
    for panel, summary in _panels(results).items():
        flat = summary.assign(mix=summary["mix"].str.replace("\n", " "), panel=panel)
        parts.append(flat.rename(columns={"mix": "group"}))
        value = paper_value(results, panel)
        if value is not None:
            row = {"panel": panel, "group": f"paper ({value.mark})", "policy": HERO}
            parts.append(pd.DataFrame([{**row, "mean": value.value}]))
    return as_points(parts)


def paper_value(results: Results, panel: str) -> PaperValue | None:
    """Return what the paper says of BlendServe over all mixes, if the manifest claims it."""
    for claim in results.manifest.claims:
        asked = claim.statistic
        if asked.policy != HERO or any(not name.startswith("overlap") for name in asked.where):
            continue
        is_gain = claim.metric == THROUGHPUT and asked.kind == "ratio" and asked.over == BASELINE
        if is_gain if panel == "gain" else (claim.metric == panel and asked.kind == "mean"):
            return claim.paper
    return None


def mix_label(point: dict[str, Any], config: dict[str, Any]) -> str:
    """Return what a mix is called under its bars: number, density and sharing."""
    workload = config.get("workload")
    known = dict(workload) if isinstance(workload, dict) else {}
    known |= {name.rsplit(".", 1)[-1]: value for name, value in point.items()}
    density, sharing = known.get("density"), known.get("sharing")
    name = known.get("mix") or NUMBERS.get((density, sharing), "mix")
    lines = [str(name)]
    if density is not None:
        lines.append(f"density {density:g}")
    if sharing is not None:
        lines.append(f"sharing {100 * sharing:g} %")
    return "\n".join(lines)


def _short(name: str) -> str:
    return "mean" if name == ALL else name.split("\n")[0]


def _table(results: Results) -> pd.DataFrame:
    """Return the runs with the main overlap model, with the column `mix`."""
    labels = {spec.id: mix_label(spec.point, spec.config) for spec in results.plan.runs}
    table = runs_table(results)
    chosen = table.loc[table["model"] == main_model(table)]
    return chosen.assign(mix=table.loc[:, "run_id"].map(labels))


def mix_bars(results: Results, metric: str) -> pd.DataFrame:
    """Return the bars of a metric by mix, and of its mean over the mixes."""
    return with_mean(_table(results), metric)


def _panels(results: Results) -> dict[str, pd.DataFrame]:
    """Return per panel the bars: columns mix, policy, mean, low, high, n."""
    table = _table(results)
    ratios = relative_throughput(results, table, ["mix"])
    found = {"gain": with_mean(ratios, "ratio")}
    for metric in SHARES:
        found[metric] = mix_bars(results, metric)
    return found


def with_mean(
    frame: pd.DataFrame,
    value: str,
    group: str = "mix",
    series: str = "policy",
    mean_name: str = ALL,
) -> pd.DataFrame:
    """Return the bars of every group, then those of their mean (each group counts the same).

    Columns: `group`, `series`, mean, low, high, n; the last group is called `mean_name`.
    """
    import pandas as pd

    summary = summarise(frame, [group, series], value)
    rows = []
    for name, part in frame[frame[value].notna()].groupby(series, sort=False):
        found = mean_interval([own[value].tolist() for _, own in part.groupby(group, sort=False)])
        rows.append((mean_name, name, found.value, found.low, found.high, found.n))
    return pd.DataFrame(
        [*summary.itertuples(index=False, name=None), *rows], columns=summary.columns
    )


def _mark_paper(
    axes: Axes, results: Results, panel: str, at: float | None, policies: list[str]
) -> None:
    """Put the paper's value over BlendServe's bar of the mean."""
    value = paper_value(results, panel)
    if value is None or at is None or HERO not in policies:
        return
    shift = bar_offset(policies.index(HERO), len(policies))
    at_least = panel != "gain" and SHARES[panel][2]
    paper_marker(axes, at + shift, value.value, value.mark, at_least)
