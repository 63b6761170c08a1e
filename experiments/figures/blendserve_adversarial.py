"""Orders on adversarial pools: throughput against DFS, and sharing kept, per pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import bars, new_figure, summarise
from experiments.figures.serving_orders import (
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
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

POOL = "workload.pool"
KEPT = "sharing_kept"
WORDS = {
    "alike": "alike\nall equal",
    "unique": "unique\nnothing shared",
    "giant_prefix": "giant prefix\n8192 tokens",
    "heavy_tail": "heavy tail\nPareto outputs",
    "opposed": "opposed\ndensity or sharing",
    "deep_chain": "deep chain\n256 links",
}


def draw(results: Results) -> Figure:
    """Draw throughput against DFS above, sharing kept below."""
    table, policies = runs_table(results), policies_of(results)
    summary = _gains(results)
    figure = new_figure(10.5, 6.2)
    above, below = figure.subplots(2, 1, height_ratios=(1.4, 1))
    gains_panel(above, _worded(summary), POOL, policies)
    above.set_title(f"Throughput, {main_model(table)}")
    explain_whiskers(above, summary)
    bars(below, _worded(summarise(table, [POOL, "policy"], KEPT)), POOL, "policy", policies)
    below.set_title("Sharing kept (100 % where there is none)")
    share_axis(below, "of the most possible sharing")
    policy_legend(figure, below)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the bars."""
    kept = summarise(runs_table(results), [POOL, "policy"], KEPT).assign(panel=KEPT)
    parts = [_gains(results).assign(panel="throughput_ratio"), kept]
    return as_points([part.rename(columns={POOL: "group"}) for part in parts])


def _gains(results: Results) -> pd.DataFrame:
    ratios = relative_throughput(results, runs_table(results), [POOL])
    return summarise(ratios, [POOL, "policy"], "ratio")


def _worded(summary: pd.DataFrame) -> pd.DataFrame:
    return summary.assign(**{POOL: [WORDS.get(name, name) for name in summary[POOL]]})
