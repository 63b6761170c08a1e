"""Best templates against kernels without tensor cores, operator by operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.tuning_gpu import Panel, draw_panels, panel_points
from experiments.figures.tuning_parts import shape_label
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw_speedup(results: Results, what: str) -> Figure:
    """Draw the bars and the paper's values; `what` says which operators these are."""
    return draw_panels(results, _panels(what), _label)


def speedup_points(results: Results, what: str) -> pd.DataFrame:
    """Return the bars, and the paper's values."""
    return panel_points(results, _panels(what), _label)


def _panels(what: str) -> tuple[Panel, ...]:
    title = f"{what}: best template over the best kernel without tensor cores"
    return (
        Panel("speedup_over_cuda_cores", title, "speed, ratio"),
        Panel("tflops", "Best template", "TFLOP/s", ratio=False),
    )


def _label(config: dict[str, Any]) -> str:
    return shape_label(config["operator"])
