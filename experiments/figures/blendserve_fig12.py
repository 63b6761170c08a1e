"""BlendServe over DFS for other models, by mix: Fig. 12."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import bars, new_figure, paper_marker
from experiments.figures.serving_mixes import HERO, mix_label, with_mean
from experiments.figures.serving_orders import (
    as_points,
    gains_axis,
    policy_legend,
    relative_throughput,
    runs_table,
    share_axis,
)
from experiments.figures.style import INK, Look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MIXES = {
    "#1": Look("#d55e00", "o"),
    "#2": Look("#2b7cc0", "s"),
    "#3": Look("#e8a26b", "^"),
    "#4": Look("#86b3d9", "D"),
}
"""High density in warm colours, low density in cold ones; light where little is shared."""

GAIN, SHARE = "throughput_ratio", "share_of_practical_optimum"
ALL = "mean of\nthe models"


def draw(results: Results) -> Figure:
    """Draw throughput over DFS, and the share of the practical optimum, by model and mix."""
    figure = new_figure(12.5, 3.8)
    panels = figure.subplots(1, 2, width_ratios=(1, 1))
    for axes, (name, summary) in zip(panels, _panels(results).items(), strict=True):
        base = 1.0 if name == GAIN else 0.0
        places = bars(axes, summary, "model_name", "mix", MIXES, base)
        for claim in results.manifest.claims:
            wanted = "ratio" if name == GAIN else "mean"
            if claim.statistic.kind == wanted and ALL in places:
                paper_marker(axes, places[ALL], claim.paper.value, claim.paper.mark)
    gains_axis(panels[0])
    panels[0].axhline(1.0, color=INK, linewidth=1)
    panels[0].set_title("Throughput of BlendServe against DFS")
    share_axis(panels[1], "of the practical optimum")
    panels[1].set_title("Share of the practical optimum")
    policy_legend(figure, panels[0])
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the bars; `policy` holds the mix."""
    parts = []
    for name, summary in _panels(results).items():
        renamed = summary.rename(columns={"model_name": "group", "mix": "policy"})
        renamed["group"] = renamed["group"].str.replace("\n", " ")
        parts.append(renamed.assign(panel=name))
    return as_points(parts)


def _panels(results: Results) -> dict[str, pd.DataFrame]:
    configs = {spec.id: spec.config for spec in results.plan.runs}
    labels = {s.id: mix_label(s.point, s.config).split("\n")[0] for s in results.plan.runs}
    table = runs_table(results)
    ids = table.loc[:, "run_id"]
    names = [f"{configs[i]['model']}\n{configs[i]['gpus']} GPU" for i in ids]
    table = table.assign(mix=ids.map(labels), model_name=names)
    ratios = relative_throughput(results, table, ["mix", "model_name"])
    ratios = ratios.loc[ratios["policy"] == HERO]
    shares = table.loc[table["policy"] == HERO]
    keys = {"group": "model_name", "series": "mix", "mean_name": ALL}
    return {GAIN: with_mean(ratios, "ratio", **keys), SHARE: with_mean(shares, SHARE, **keys)}
