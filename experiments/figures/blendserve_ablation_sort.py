"""What the density sort and the dual scan bring, apart and together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures import serving_ablation
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SORTS = {True: "sorted by density", False: "order of the pool"}
SCANS = {"dual": "from both ends", "left": "from the left"}


def label(config: dict[str, Any]) -> str:
    """Return how the tree's children stand and how it is scanned."""
    given = serving_ablation.parameters_of(config)
    return f"{SORTS[given.get('sort', True)]}, {SCANS[given.get('scan', 'dual')]}"


ABLATION = serving_ablation.Ablation(
    label, "sorted by density, from both ends", "Sort and scan, without split"
)


def draw(results: Results) -> Figure:
    """Draw the ablation."""
    return serving_ablation.draw(results, ABLATION)


def points(results: Results) -> pd.DataFrame:
    """Return its marks."""
    return serving_ablation.points(results, ABLATION)
