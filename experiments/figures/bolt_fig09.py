"""Epilogues fused, against a kernel of their own (Fig. 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.tuning_gpu import Panel, draw_panels, panel_points
from experiments.figures.tuning_parts import shape_label
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS = (
    Panel("speedup", "Bias and activation fused, over a kernel of their own", "speed, ratio"),
)


def draw(results: Results) -> Figure:
    """Draw the bars and the paper's values."""
    return draw_panels(results, PANELS, _label)


def points(results: Results) -> pd.DataFrame:
    """Return the bars, and the paper's values."""
    return panel_points(results, PANELS, _label)


def _label(config: dict[str, Any]) -> str:
    operator = config["operator"]
    activation = operator["epilogue"].removeprefix("bias+")
    return f"{shape_label(operator)}\n{activation}"
