"""Epilogues inside the kernel against a pass over memory after it, as Fig. 9, on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.parts import new_figure, summarise
from experiments.figures.style import INK, Look
from experiments.figures.tuning_decisions import threads_of
from experiments.figures.tuning_parts import as_points, labelled, ratio_bars, shape_label
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACTIVATIONS = {
    "relu": Look("#2b7cc0", "s"),
    "gelu": Look("#d55e00", "o"),
    "hardswish": Look("#0d9a73", "^"),
    "softplus": Look("#8a63c8", "P"),
}
PANELS = {
    "speedup": ("Fused against a separate pass", "speed of the fused kernel"),
    "epilogue_share": ("What the fused epilogue costs", "time over the plain kernel"),
}


def draw(results: Results) -> Figure:
    """Draw the speed-up per activation, and what the fused epilogue adds to the plain kernel."""
    parts = _panels(results)
    figure = new_figure(max(9.0, 1.5 * len(set(parts["speedup"]["group"])) + 4), 3.6)
    mosaic = figure.subplot_mosaic([list(PANELS)])
    ratio_bars(mosaic["speedup"], parts["speedup"], ACTIVATIONS, PANELS["speedup"][1])
    _cost(mosaic["epilogue_share"], parts["epilogue_share"])
    for name, (title, _) in PANELS.items():
        mosaic[name].set_title(title)
    handles, names = mosaic["speedup"].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper left", ncols=4, handlelength=1.2)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the bars."""
    return as_points([part.assign(panel=name) for name, part in _panels(results).items()])


def _panels(results: Results) -> dict[str, pd.DataFrame]:
    table = labelled(results, group=_group, activation=_activation)
    table = table.drop(columns="policy").rename(columns={"activation": "policy"})
    return {name: summarise(table, ["group", "policy"], name) for name in PANELS}


def _group(config: dict[str, Any]) -> str:
    return f"{shape_label(config['operator'])}\n{threads_of(config)}"


def _activation(config: dict[str, Any]) -> str:
    return str(config["operator"]["epilogue"]).split("+")[-1]


def _cost(axes: Axes, summary: pd.DataFrame) -> None:
    from matplotlib.ticker import FuncFormatter

    from experiments.figures.parts import bars

    bars(axes, summary, "group", "policy", ACTIVATIONS)
    axes.axhline(0.0, color=INK, linewidth=1.0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:+.3g} %"))
    axes.set_ylabel(PANELS["epilogue_share"][1])
