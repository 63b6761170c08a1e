"""Orders under three admission rules, with sampled and with true output lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import new_figure, summarise
from experiments.figures.serving_orders import (
    as_points,
    explain_whiskers,
    gains_panel,
    policies_of,
    policy_legend,
    relative_throughput,
    runs_table,
)
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

RULES: dict[float | str, str] = {
    0.0: "none kept\n(vLLM's rule)",
    0.5: "half\n(p + d/2)",
    1.0: "all\n(p + d)",
    "peak": "predicted\npeak",
}
LENGTHS = {"sample": "Lengths from a 1 % sample", "oracle": "True lengths known"}


def draw(results: Results) -> Figure:
    """Draw throughput against DFS by share of the output that admission reserves."""
    policies = policies_of(results)
    figure = new_figure(10.5, 3.8)
    panels = figure.subplots(1, len(LENGTHS), sharey=True)
    for axes, (kind, summary) in zip(panels, _panels(results).items(), strict=True):
        gains_panel(axes, summary, "rule", policies)
        axes.set_title(LENGTHS[kind])
        axes.set_xlabel("KV memory kept for the estimated output")
    panels[1].set_ylabel("")
    explain_whiskers(panels[1], next(iter(_panels(results).values())))
    policy_legend(figure, panels[0])
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the bars."""
    parts = [
        summary.assign(rule=summary["rule"].str.replace("\n", " "), panel=kind)
        for kind, summary in _panels(results).items()
    ]
    return as_points([part.rename(columns={"rule": "group"}) for part in parts])


def _panels(results: Results) -> dict[str, pd.DataFrame]:
    table = runs_table(results)
    configs = {spec.id: spec.config for spec in results.plan.runs}
    table = table.assign(
        lengths=[configs[i]["estimate"]["kind"] for i in table["run_id"]],
        rule=[_rule(configs[i]["kv_reserve"]) for i in table["run_id"]],
    )
    ratios = relative_throughput(results, table, ["lengths", "rule"])
    return {
        kind: summarise(ratios.loc[ratios["lengths"] == kind], ["rule", "policy"], "ratio")
        for kind in LENGTHS
    }


def _rule(kept: float | str) -> str:
    return RULES.get(kept) or f"{100 * float(kept):g} %"
