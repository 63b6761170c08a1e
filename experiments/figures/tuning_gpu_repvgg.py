"""RepVGG's variants on simulated GPUs: speed alone, and over the unchanged network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.tuning_gpu import Panel, draw_panels, panel_points
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

PANELS = (
    Panel("images_s", "Convolutions and dense layers alone", "images/s", ratio=False),
    Panel("speed_over_plain", "Over the unchanged network", "speed, ratio"),
)


def draw(results: Results) -> Figure:
    """Draw the bars and the paper's values."""
    return draw_panels(results, PANELS, _label, across=True)


def points(results: Results) -> pd.DataFrame:
    """Return the bars, and the paper's values."""
    return panel_points(results, PANELS, _label)


def _label(config: dict[str, Any]) -> str:
    model = str(config["model"]).removeprefix("repvgg_").upper()
    deepened = "\n+ 1x1" if config["deepen"] else ""
    return f"{model} {config['activation']}{deepened}"
