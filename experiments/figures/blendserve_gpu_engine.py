"""Orders on a GPU: throughput of whole runs in sequence, split and overlapped; gains over DFS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import bars, new_figure, summarise
from experiments.figures.style import looks
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS = {
    "throughput_tokens_s": "tokens/s",
    "step_ms": "ms per step",
    "simulated_share": "simulated / measured",
}


def draw(results: Results) -> Figure:
    """Draw one panel a metric; orders are bars, whiskers the 95 % interval over repeats."""
    found = points(results)
    figure = new_figure(11.0, 3.2)
    styles = looks(dict.fromkeys(found["policy"]))
    panels = figure.subplots(1, len(PANELS))
    for axes, (metric, label) in zip(panels, PANELS.items(), strict=True):
        bars(axes, found.loc[found["panel"] == metric], "mode", "policy", styles)
        axes.set_ylabel(label)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(styles)
    )
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return per order and way the mean of each metric over repeats."""
    import pandas as pd

    mode = {spec.id: spec.config["mode"] for spec in results.plan.runs}
    table = results.table.assign(mode=[mode[run_id] for run_id in results.table["run_id"]])
    parts = []
    for metric in PANELS:
        summary = summarise(table, ["mode", "policy"], metric)
        parts.append(summary.assign(panel=metric))
    return pd.concat(parts, ignore_index=True)
