"""Random runs on vLLM and in the simulator: how many are equal in every step, by setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import heat_map, new_figure
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

ROWS = {"tight": "tight", "snug": "snug", "loose": "loose"}
COLUMNS = {"fcfs": "in sequence", "priority": "by priority", "asked": "an order is asked"}
COUNTS = ("runs", "equal_runs", "steps", "equal_steps", "preemptions", "hit_tokens")


def draw(results: Results) -> Figure:
    """Draw the share of equal runs by size of the KV cache and way of admission."""
    import numpy as np

    found = points(results)
    figure = new_figure(7.6, 3.4)
    axes = figure.subplots()
    rows = [name for name in ROWS if name in set(found["tightness"])]
    columns = [name for name in COLUMNS if name in set(found["admission"])]
    shares = np.full((len(rows), len(columns)), np.nan)
    for cell in found.to_dict("records"):
        at = rows.index(cell["tightness"]), columns.index(cell["admission"])
        shares[at] = 100 * cell["equal_runs"] / cell["runs"]
        told = f"{cell['equal_runs']} of {cell['runs']} runs\n{cell['steps']:,} steps"
        told += f"\n{cell['preemptions']:,} preemptions"
        axes.text(at[1], at[0] + 0.12, told, ha="center", va="top", fontsize=7.5, color="#ffffff")
    labels = [COLUMNS[name] for name in columns]
    heat_map(axes, shares, labels, rows, "{:.0f} %\n\n", "viridis_r", (0.0, 100.0))
    axes.set_ylabel("KV cache")
    axes.set_title("Runs whose every step equals vLLM's")
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the counts per setting, summed over seeds."""
    import pandas as pd

    configs = {spec.id: spec.config for spec in results.plan.runs}
    table = results.table
    keys = {
        name: [configs[i][name] for i in table["run_id"]] for name in ("tightness", "admission")
    }
    frame = pd.DataFrame(keys | {name: table[name].to_numpy() for name in COUNTS})
    return pd.DataFrame(frame.groupby(["tightness", "admission"], sort=False, as_index=False).sum())
