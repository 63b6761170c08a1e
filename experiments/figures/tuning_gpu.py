"""Bars on simulated GPUs: a colour per GPU, the paper's T4 values where they are known.

Whiskers are 95 % intervals over draws of the model's constants, not over measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.claims import holds
from experiments.figures.parts import bar_offset, bars, new_figure, paper_marker, summarise
from experiments.figures.style import INK, Look
from experiments.figures.tuning_parts import as_points, labelled
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GPUS = {
    "t4": Look("#d55e00", "o"),
    "a100-80": Look("#2b7cc0", "s"),
    "rtx3070": Look("#0d9a73", "^"),
    "rtx4090": Look("#bf5f9e", "D"),
    "h100": Look("#b47d0a", "X"),
    "h200": Look("#8a63c8", "P"),
}
NAMES = {
    "t4": "T4",
    "a100-80": "A100",
    "rtx3070": "RTX 3070",
    "rtx4090": "RTX 4090",
    "h100": "H100",
    "h200": "H200",
}
OF_PAPER = "t4"
"""The GPU that the paper's numbers are of; it is drawn first."""
LOOKS = {f"{NAMES[name]}, simulated": look for name, look in GPUS.items()}
Label = Callable[[dict[str, Any]], str]


@dataclass(frozen=True)
class Panel:
    """One set of axes.

    Attributes:
        metric: what is drawn.
        title: above the axes.
        axis: label of the y axis.
        ratio: whether values are ratios, with a line at 1.
    """

    metric: str
    title: str
    axis: str
    ratio: bool = True


def draw_panels(
    results: Results, panels: Sequence[Panel], label: Label, across: bool = False
) -> Figure:
    """Draw the panels below each other, or side by side if `across`."""
    table = _table(results, label)
    groups = max(1, len(set(table["group"])))
    width = min(13.5, max(6.5, 1.15 * groups + 1.5))
    rows, columns = (1, len(panels)) if across else (len(panels), 1)
    size = (min(13.5, width * columns * 0.7), 3.3) if across else (width, 2.9 * rows + 0.4)
    figure = new_figure(*size)
    handles: dict[str, Any] = {}
    for axes, panel in zip(
        figure.subplots(rows, columns, squeeze=False).ravel(), panels, strict=True
    ):
        summary = summarise(table, ["group", "policy"], panel.metric)
        places = bars(axes, summary, "group", "policy", LOOKS)
        if panel.ratio:
            axes.axhline(1.0, color=INK, linewidth=1.0)
            axes.yaxis.set_major_formatter("{x:g}x")
        shown = [name for name in LOOKS if name in set(summary["policy"])]
        shift = bar_offset(0, len(shown)) if shown[:1] == [f"{NAMES[OF_PAPER]}, simulated"] else 0
        _paper(axes, results, panel.metric, label, {k: x + shift for k, x in places.items()})
        axes.set_ylim(bottom=0)
        axes.margins(y=0.12)
        axes.set_title(panel.title)
        axes.set_ylabel(panel.axis)
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(
        list(handles.values()), list(handles), loc="outside upper left", ncols=4, handlelength=1.2
    )
    return figure


def panel_points(results: Results, panels: Sequence[Panel], label: Label) -> pd.DataFrame:
    """Return the bars of all panels, and the paper's values."""
    import pandas as pd

    table = _table(results, label)
    parts = [
        summarise(table, ["group", "policy"], panel.metric).assign(panel=panel.metric)
        for panel in panels
    ]
    cited = [
        {"panel": panel.metric, "group": group, "policy": f"paper ({mark})", "mean": value}
        for panel in panels
        for value, mark, found in paper_groups(results, panel.metric, label)
        for group in found
    ]
    return as_points([*parts, pd.DataFrame(cited)])


def paper_groups(
    results: Results, metric: str, label: Label
) -> list[tuple[float, str, tuple[str, ...]]]:
    """Return (value, mark, groups) of each claim on `metric`: one group, or all it speaks of."""
    found = []
    for claim in results.manifest.claims:
        if claim.metric != metric or claim.paper.bound is not None:
            continue
        where = claim.statistic.where
        groups = dict.fromkeys(
            label(spec.config)
            for spec in results.plan.runs
            if holds(spec.point, spec.config, where)
        )
        if groups:
            found.append((claim.paper.value, claim.paper.mark, tuple(groups)))
    return found


def _table(results: Results, label: Label) -> pd.DataFrame:
    return labelled(
        results, group=label, policy=lambda config: f"{NAMES[config['gpu']]}, simulated"
    )


def _paper(
    axes: Axes, results: Results, metric: str, label: Label, places: Mapping[Any, float]
) -> None:
    """Mark a value of one group by a diamond, one of several by a line over all of them."""
    for value, mark, groups in paper_groups(results, metric, label):
        at = [places[group] for group in groups if group in places]
        if len(at) == 1:
            paper_marker(axes, at[0], value, mark)
        elif at:
            known = axes.get_legend_handles_labels()[1]
            text = f"paper, over all of them ({mark})"
            axes.hlines(
                *(value, min(at) - 0.45, max(at) + 0.45),
                colors=INK,
                linestyles="dashed",
                linewidth=1.3,
                label="_nolegend_" if text in known else text,
            )
