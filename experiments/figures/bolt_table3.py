"""Channels padded to 16-byte accesses, with and without the cost of padding (Table 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.tuning_gpu import Panel, draw_panels, panel_points
from experiments.figures.tuning_parts import shape_label
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS = (
    Panel("speedup", "Padded over unpadded, the kernel that pads included", "speed, ratio"),
    Panel("kernel_speedup", "The same without it", "speed, ratio"),
    Panel("copy_share", "Padding, of the padded operator", "share of time", ratio=False),
)


def draw(results: Results) -> Figure:
    """Draw the bars and the paper's values."""
    return draw_panels(results, PANELS, _label)


def points(results: Results) -> pd.DataFrame:
    """Return the bars, and the paper's values."""
    return panel_points(results, PANELS, _label)


def _label(config: dict[str, Any]) -> str:
    operator = config["operator"]
    return f"{operator['batch']} images\n{shape_label(operator)}"
