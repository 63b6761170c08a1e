"""The conditional split in both forms, over the share of the sharing that it must keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures import serving_ablation
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FORMS = {"relocate": "outliers to the root", "cut": "cut into units"}


def label(config: dict[str, Any]) -> str:
    """Return the form and what it keeps."""
    given = serving_ablation.parameters_of(config)
    form = given.get("split", "none")
    if form == "none":
        return "no split"
    return f"{FORMS[form]}, keep {100 * given.get('keep_sharing', 0.99):g} %"


ABLATION = serving_ablation.Ablation(label, "no split", "Conditional split")


def draw(results: Results) -> Figure:
    """Draw the ablation."""
    return serving_ablation.draw(results, ABLATION)


def points(results: Results) -> pd.DataFrame:
    """Return its marks."""
    return serving_ablation.points(results, ABLATION)
