"""Prefix sharing kept on the four mixes, by order: Fig. 9."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import bar_offset, bars, new_figure, paper_marker
from experiments.figures.serving_mixes import ALL, mix_bars
from experiments.figures.serving_orders import (
    as_points,
    explain_whiskers,
    policies_of,
    policy_legend,
    share_axis,
)
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

METRIC = "sharing_kept"


def draw(results: Results) -> Figure:
    """Draw the share of the largest possible sharing, and what the paper says of two orders."""
    policies, summary = policies_of(results), mix_bars(results, METRIC)
    figure = new_figure(9.0, 3.6)
    axes = figure.subplots()
    places = bars(axes, summary, "mix", "policy", policies)
    share_axis(axes, "of the most possible sharing")
    axes.set_title("Sharing kept")
    explain_whiskers(axes, summary)
    drawn = [name for name in policies if name in set(summary["policy"])]
    for claim in results.manifest.claims:
        policy = str(claim.statistic.policy)
        if policy in drawn and ALL in places:
            at = places[ALL] + bar_offset(drawn.index(policy), len(drawn))
            value = claim.paper
            paper_marker(axes, at, value.value, value.mark, at_least=value.bound == "above")
    policy_legend(figure, axes)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the bars and the paper's bounds."""
    import pandas as pd

    bars_ = mix_bars(results, METRIC).rename(columns={"mix": "group"})
    bars_["group"] = bars_["group"].str.replace("\n", " ")
    paper = [
        {
            "panel": METRIC,
            "group": f"paper ({claim.paper.mark})",
            "policy": claim.statistic.policy,
            "mean": claim.paper.value,
        }
        for claim in results.manifest.claims
    ]
    return as_points([bars_.assign(panel=METRIC), pd.DataFrame(paper)])
