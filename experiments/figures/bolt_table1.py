"""Back-to-back GEMMs in one kernel or two (Table 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.tuning_gpu import Panel, draw_panels, panel_points
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS = (Panel("speedup", "GEMM + GEMM: one kernel over two", "speed, ratio"),)


def draw(results: Results) -> Figure:
    """Draw the bars and the paper's values."""
    return draw_panels(results, PANELS, _label)


def points(results: Results) -> pd.DataFrame:
    """Return the bars, and the paper's values."""
    return panel_points(results, PANELS, _label)


def _label(config: dict[str, Any]) -> str:
    first, second = config["first"], config["second"]
    return f"{first['m']}\nx{first['n']}x{first['k']}\nx{second['n']}x{second['k']}"
