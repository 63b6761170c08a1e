"""What the figures over a run's steps share: rows of `use_over_time`, by step and by order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from experiments.figures.parts import time_bins
from experiments.figures.serving_orders import policies_of
from experiments.tables import Results

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

BINS = 120


def step_edges(results: Results) -> np.ndarray:
    """Return the edges of the bins, in steps, up to the longest run."""
    import numpy as np

    return np.linspace(0.0, float(results.table.loc[:, "steps"].max()), BINS + 1)


def by_step(results: Results, columns: Mapping[str, str]) -> dict[str, dict[str, list[np.ndarray]]]:
    """Return order -> column -> each run's mean per bin of steps; NaN after its end.

    `columns` maps what is wanted to a column of `use_over_time`.
    """
    import numpy as np

    edges, frame = step_edges(results), results.series("use_over_time")
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    for policy in policies_of(results):
        own = found.setdefault(policy, {name: [] for name in columns})
        mine = frame.loc[frame["policy"] == policy] if len(frame) else frame
        for _, run in mine.groupby("run_id", sort=False) if len(mine) else ():
            steps = run["steps"].to_numpy(float)
            starts = np.cumsum(steps) - steps
            for name, column in columns.items():
                own[name].append(time_bins(starts, steps, run[column].to_numpy(float), edges))
    return found


def as_rows(
    results: Results, series: Mapping[str, Mapping[str, list[np.ndarray]]]
) -> list[pd.DataFrame]:
    """Return the points of such series: panel (the column), policy, x (step), mean, n."""
    import numpy as np
    import pandas as pd

    edges, parts = step_edges(results), []
    middles = (edges[1:] + edges[:-1]) / 2
    for policy, columns in series.items():
        for name, runs in columns.items():
            if runs:
                stacked = np.ma.masked_invalid(np.vstack(runs))
                known: dict[str, Any] = {"panel": name, "policy": policy, "x": middles}
                known |= {"mean": stacked.mean(axis=0).filled(np.nan), "n": stacked.count(axis=0)}
                parts.append(pd.DataFrame(known))
    return parts
