"""Distillation with and without rounds of DAgger."""

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
    rounds = config["rounds"]
    return "no DAgger" if rounds == 0 else f"{rounds} round" + ("s" if rounds > 1 else "")
