"""RepVGG-A0 with channels that are whole vectors or not (section 3.3), on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.tuning_codesign import draw_variants, variant_points
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """Draw throughput, and its ratio to the unaligned network."""
    return draw_variants(results, {})


def points(results: Results) -> pd.DataFrame:
    """Return the bars."""
    return variant_points(results, {})
