"""Gain over DFS by overlap model, from one run per order: times under `sum` and `max` decide all h.

On one GPU a step under `partial(h)` takes (1 - h) of its time under `sum` and h of its time under
`max`, up to rounding to nanoseconds, and so does a run whose schedule does not depend on time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import new_figure, summarise
from experiments.figures.serving_mixes import mix_label
from experiments.figures.serving_orders import BASELINE, as_points, policies_of, policy_legend
from experiments.figures.style import INK
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

HIDDEN = tuple(i / 10 for i in range(11))
INTERFERENCE = 1.14
"""Place of NanoFlow's interference on the axis, beyond h = 1."""


def draw(results: Results) -> Figure:
    """Draw a panel per mix: throughput over DFS by h, interference at the right."""
    policies, summary = policies_of(results), _summary(results)
    mixes = list(dict.fromkeys(summary["mix"]))
    figure = new_figure(10.5, 3.6)
    panels = figure.subplots(1, max(1, len(mixes)), sharey=True, squeeze=False)[0]
    for axes, mix in zip(panels, mixes, strict=False):
        for policy, own in policies.items():
            rows = summary.loc[(summary["mix"] == mix) & (summary["policy"] == policy)]
            line, apart = rows.loc[rows["x"] <= 1], rows.loc[rows["x"] > 1]
            axes.plot(line["x"], line["mean"], color=own.colour, label=policy)
            if line["low"].notna().any():
                low, high = line["low"].astype(float), line["high"].astype(float)
                axes.fill_between(line["x"], low, high, color=own.colour, alpha=0.2, linewidth=0)
            axes.plot(apart["x"], apart["mean"], own.marker, color=own.colour, markersize=6)
        axes.set_title(mix.replace("\n", ", ").replace("density ", "").replace("sharing ", ""))
        axes.set_xticks([0, 0.5, 1, INTERFERENCE], ["0", ".5", "1", "N"])
        axes.set_xlabel("h (N: interference)")
        axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
    panels[0].set_ylabel(f"throughput over {BASELINE}")
    policy_legend(figure, panels[0])
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the lines; x is h, or beyond 1 for the interference table."""
    rows = _summary(results).rename(columns={"mix": "group"})
    rows["group"] = rows["group"].str.replace("\n", " ")
    return as_points([rows.assign(panel="throughput_ratio")])


def _summary(results: Results) -> pd.DataFrame:
    """Return mix, policy, x, mean, low, high, n of the ratio of makespans, paired by seed."""
    import pandas as pd

    labels = {spec.id: mix_label(spec.point, spec.config) for spec in results.plan.runs}
    table = results.table.assign(mix=results.table.loc[:, "run_id"].map(labels))
    keys = ["mix", "seed"]
    columns = [f"makespan_if_{name}_s" for name in ("sum", "max", "interference")]
    base = table.loc[table["policy"] == BASELINE, [*keys, *columns]]
    both = table.merge(base, on=keys, suffixes=("", "_base"))
    parts = []
    for h in HIDDEN:
        own = (1 - h) * both[columns[0]] + h * both[columns[1]]
        other = (1 - h) * both[f"{columns[0]}_base"] + h * both[f"{columns[1]}_base"]
        parts.append(both.assign(x=h, ratio=other / own))
    ratio = both[f"{columns[2]}_base"] / both[columns[2]]
    parts.append(both.assign(x=INTERFERENCE, ratio=ratio))
    return summarise(pd.concat(parts), ["mix", "policy", "x"], "ratio")
