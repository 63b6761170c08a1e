"""How often deciders name the right branch, and what the errors cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.congestion_parts import as_points, policies_of
from experiments.figures.congestion_shares import AXIS, ideal, shares, side_dots, sides
from experiments.figures.parts import heat_map, new_figure, summarise
from experiments.figures.style import Look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES = "confusion"
WAYS = {
    "oracle_share": ("knowing the link's context", Look("#0d9a73", "^")),
    "decider_share": ("with the decider", Look("#d55e00", "o")),
    "best_alone_share": ("best branch alone", Look("#2b7cc0", "s")),
    "worst_alone_share": ("worst branch alone", Look("#7d8590", "v")),
}
"""Metric -> what it is the share of, and how it is drawn."""
LEAST = -0.5


def draw(results: Results) -> Figure:
    """Draw the shares of each way to decide, and a confusion matrix per policy."""
    policies, matrices = list(policies_of(results)), _matrices(results)
    figure = new_figure(5.2 + 3.1 * len(matrices), 1.6 + 0.95 * len(policies) + 0.6)
    widths = [1.4, *[1.0] * len(matrices)]
    panels = figure.subplots(1, 1 + len(matrices), squeeze=False, width_ratios=widths)[0]
    _shares(panels[0], results, policies)
    accuracies = summarise(results.table, ["policy"], "accuracy")
    for axes, (policy, matrix) in zip(panels[1:], matrices.items(), strict=True):
        known = accuracies.loc[accuracies["policy"] == policy, "mean"]
        heat_map(axes, matrix, range(len(matrix)), range(len(matrix)), limits=(0.0, 1.0))
        axes.set_title(f"{policy}\naccuracy {float(known.iloc[0]):.2f}", fontsize=9.5)
        axes.set_xlabel("branch that acted")
        axes.set_ylabel("context of the link")
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return shares, accuracies, and the matrices (x is the branch)."""
    import pandas as pd

    parts = []
    for metric in WAYS:
        found = shares(results.table, ["policy"], metric)
        parts.append(found.assign(panel="share", group=metric))
    for metric in ("accuracy", "largest_context", "cost"):
        found = summarise(results.table, ["policy"], metric)
        parts.append(found.assign(panel=metric))
    for policy, matrix in _matrices(results).items():
        for context, row in enumerate(matrix):
            labels = {"panel": SERIES, "group": f"context {context}", "policy": policy}
            parts.append(pd.DataFrame({**labels, "x": range(len(row)), "mean": row}))
    return as_points(parts)


def _shares(axes: Axes, results: Results, policies: list[str]) -> None:
    from matplotlib.lines import Line2D

    heights = sides(axes, policies)
    handles: list[Any] = []
    for place, (metric, (words, look)) in enumerate(WAYS.items()):
        found = shares(results.table, ["policy"], metric)
        found = found.assign(mean=found["mean"].clip(lower=LEAST))
        shift = 0.18 * (place - (len(WAYS) - 1) / 2)
        moved = {name: height + shift for name, height in heights.items()}
        side_dots(axes, found, moved, dict.fromkeys(policies, look), "policy")
        style: dict[str, Any] = {"color": look.colour, "marker": look.marker, "linestyle": "none"}
        handles.append(Line2D([], [], label=words, **style))
    ideal(axes)
    axes.set_xlim(right=1.03)
    axes.set_xlabel(f"{AXIS}, ratio of means")
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)


def _matrices(results: Results) -> dict[str, Any]:
    """Return policy -> share of decisions [context, branch], each row over its sum."""
    import numpy as np

    frame = results.series(SERIES)
    found: dict[str, Any] = {}
    if not len(frame):
        return found
    for policy, rows in frame.groupby("policy", sort=False):
        count = 1 + max(int(place) for place in rows["context"])
        matrix = np.zeros((count, count))
        for row in rows.to_dict("records"):
            matrix[int(row["context"]), int(row["branch"])] += row["decisions"]
        sums = matrix.sum(axis=1, keepdims=True)
        nothing = np.full(matrix.shape, np.nan)
        found[str(policy)] = np.divide(matrix, sums, out=nothing, where=sums > 0)
    return found
