"""Channels padded to whole vectors, the cost of the copy included, as Table 3, on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.tuning_decisions import (
    Decision,
    decision_points,
    draw_decisions,
    threads_of,
)
from experiments.figures.tuning_parts import shape_label
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def draw(results: Results) -> Figure:
    """Draw the speed of the padded operator, copy included, over the unpadded one."""
    return draw_decisions(results, DECISION)


def points(results: Results) -> pd.DataFrame:
    """Return the bars, and the paper's."""
    return decision_points(results, DECISION)


def _label(config: dict[str, Any]) -> str:
    operator = config["operator"]
    return f"{operator['batch']} images\n{shape_label(operator)}"


DECISION = Decision(
    metric="padded",
    words=("not faster beyond noise: left as it is", "faster: padded"),
    label=_label,
    panel=threads_of,
    axis="speed of the padded operator",
)
