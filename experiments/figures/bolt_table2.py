"""Back-to-back convolutions in one kernel or two (Table 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.tuning_gpu import Panel, draw_panels, panel_points
from experiments.figures.tuning_parts import shape_label
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS = (Panel("speedup", "Conv 3x3 + conv 1x1, batch 32: one kernel over two", "speed, ratio"),)


def draw(results: Results) -> Figure:
    """Draw the bars and the paper's values."""
    return draw_panels(results, PANELS, _label)


def points(results: Results) -> pd.DataFrame:
    """Return the bars, and the paper's values."""
    return panel_points(results, PANELS, _label)


def _label(config: dict[str, Any]) -> str:
    second = config["second"]
    return f"{shape_label(config['first'])}\n1x1 {second['in_channels']}-{second['out_channels']}"
