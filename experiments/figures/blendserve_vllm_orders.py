"""Orders on real vLLM: sharing kept, prefill computed and CPU time, by size of the KV cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import bars, new_figure, summarise
from experiments.figures.style import looks
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS = {
    "sharing_kept": "hits / the most possible",
    "prefill_tokens": "prompt tokens computed",
    "steps": "steps",
    "cpu_s": "CPU time, s",
}


def draw(results: Results) -> Figure:
    """Draw one panel a metric; orders are bars, whiskers the 95 % interval over repeats."""
    found = points(results)
    figure = new_figure(11.5, 3.2)
    styles = looks(dict.fromkeys(found["policy"]))
    panels = figure.subplots(1, len(PANELS))
    for axes, (metric, label) in zip(panels, PANELS.items(), strict=True):
        bars(axes, found.loc[found["panel"] == metric], "kv", "policy", styles)
        axes.set_ylabel(label)
        axes.set_xlabel("KV cache, tokens")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(styles)
    )
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return per order and KV size the mean of each metric over repeats and seeds."""
    import pandas as pd

    kv = {spec.id: f"{spec.config['kv_tokens']:,}" for spec in results.plan.runs}
    table = results.table.assign(kv=[kv[run_id] for run_id in results.table["run_id"]])
    parts = []
    for metric in PANELS:
        summary = summarise(table, ["kv", "policy"], metric)
        parts.append(summary.assign(panel=metric))
    return pd.concat(parts, ignore_index=True)
