"""ResNet-50's 3x3 convolutions against kernels without tensor cores (Fig. 8b)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.tuning_gpu import Panel, draw_panels, panel_points
from experiments.figures.tuning_parts import shape_label
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS = (
    Panel(
        "speedup_over_cuda_cores",
        "3x3 convolutions, batch 32: best template over the best kernel without tensor cores",
        "speed, ratio",
    ),
    Panel("tflops", "Best template", "TFLOP/s", ratio=False),
)


def draw(results: Results) -> Figure:
    """Draw the bars and the paper's values."""
    return draw_panels(results, PANELS, _label)


def points(results: Results) -> pd.DataFrame:
    """Return the bars, and the paper's values."""
    return panel_points(results, PANELS, _label)


def _label(config: dict[str, Any]) -> str:
    return shape_label(config["operator"])
