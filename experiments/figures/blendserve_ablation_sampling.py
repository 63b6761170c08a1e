"""How well output lengths must be known: samples of all sizes, means, and the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures import serving_ablation
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def label(config: dict[str, Any]) -> str:
    """Return where the lengths come from."""
    estimate = config["estimate"]
    if estimate["kind"] == "sample":
        return f"{100 * estimate['p']:g} % run first"
    if estimate["kind"] == "oracle":
        return "true lengths"
    factor = estimate.get("factor", 1.0)
    return "pool's mean" if factor == 1 else f"{factor:g} x pool's mean"


ABLATION = serving_ablation.Ablation(label, "1 % run first", "Estimates of output lengths")


def draw(results: Results) -> Figure:
    """Draw the ablation."""
    return serving_ablation.draw(results, ABLATION)


def points(results: Results) -> pd.DataFrame:
    """Return its marks."""
    return serving_ablation.points(results, ABLATION)
