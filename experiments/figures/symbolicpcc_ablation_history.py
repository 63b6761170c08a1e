"""Distillation with and without inputs that remember more than the last interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from experiments.figures import congestion_ablation
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """Draw a line per variant."""
    return congestion_ablation.draw(results, _label)


def points(results: Results) -> pd.DataFrame:
    """Return what is drawn."""
    return congestion_ablation.points(results, _label)


def _label(config: Mapping[str, Any]) -> str:
    return "means and changes too" if config["history"] else "last interval only"
