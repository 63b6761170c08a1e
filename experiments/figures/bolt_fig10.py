"""Networks at batch 32: templates against kernels without tensor cores (Fig. 10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.tuning_gpu import Panel, draw_panels, panel_points
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS = (
    Panel(
        "speedup_over_cuda_cores",
        "Networks: templates over the best kernels without tensor cores",
        "speed, ratio",
    ),
    Panel("images_s", "Convolutions and dense layers alone", "images/s", ratio=False),
)


def draw(results: Results) -> Figure:
    """Draw the bars and the paper's values."""
    return draw_panels(results, PANELS, _label)


def points(results: Results) -> pd.DataFrame:
    """Return the bars, and the paper's values."""
    return panel_points(results, PANELS, _label)


def _label(config: dict[str, Any]) -> str:
    return str(config["model"]).replace("_", "-")
