"""The kernel simulator's absolute times against published ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import bars, new_figure, summarise
from experiments.figures.style import INK
from experiments.figures.tuning_gpu import LOOKS, NAMES
from experiments.figures.tuning_parts import as_points, labelled
from experiments.kinds.tuning_gpu_published import described
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """Draw simulated over published, a bar per published time."""
    summary = _summary(results)
    figure = new_figure(max(6.5, 0.72 * len(summary) + 1.5), 3.6)
    axes = figure.subplots()
    bars(axes, summary, "group", "policy", LOOKS)
    axes.axhline(1.0, color=INK, linewidth=1.0)
    axes.set_ylim(bottom=0)
    axes.tick_params(axis="x", labelsize=7.5)
    axes.set_ylabel("simulated / published time")
    axes.set_title("Below 1: somebody's kernel took longer than the simulator says")
    figure.legend(loc="outside upper left", ncols=3, handlelength=1.2)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the bars."""
    return as_points([_summary(results).assign(panel="ratio")])


def _summary(results: Results) -> pd.DataFrame:
    table = labelled(
        results,
        group=lambda config: described(config["time"])[1],
        policy=lambda config: f"{NAMES[described(config['time'])[0]]}, simulated",
    )
    return summarise(table, ["group", "policy"], "ratio")
