"""Back-to-back kernels against one after the other, as Tables 1 and 2, on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.tuning_decisions import (
    Decision,
    decision_points,
    draw_decisions,
    threads_of,
)
from experiments.figures.tuning_parts import shape_label
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """Draw the speed of the fused pair over the two kernels."""
    return draw_decisions(results, DECISION)


def points(results: Results) -> pd.DataFrame:
    """Return the bars, and the paper's."""
    return decision_points(results, DECISION)


def _label(config: dict[str, Any]) -> str:
    first, second = config["first"], config["second"]
    if first["kind"] == "gemm":
        return f"{first['m']}\nx{first['n']}x{first['k']}\nx{second['n']}x{second['k']}"
    return f"{shape_label(first)}\n1x1 {second['in_channels']}-{second['out_channels']}"


def _panel(config: dict[str, Any]) -> str:
    kinds = {"gemm": "GEMM + GEMM", "conv2d": "Conv 3x3 + Conv 1x1"}
    first = config["first"]
    images = f", batch {first['batch']}" if first["kind"] == "conv2d" else ""
    return f"{kinds[first['kind']]}{images}, {threads_of(config)}"


DECISION = Decision(
    metric="fused",
    words=("not faster beyond noise: kept apart", "faster: fused"),
    label=_label,
    panel=_panel,
    axis="speed of the fused pair",
)
