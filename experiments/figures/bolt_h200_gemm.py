"""GEMMs with epilogues on an H200, as measured there, against the vendor's libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.parts import bars, new_figure, summarise
from experiments.figures.style import INK, Look
from experiments.figures.tuning_parts import as_points, labelled, shape_label
from experiments.kinds.tuning_gpu_measured import RIVALS
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LOOKS = dict(
    zip(
        RIVALS.values(),
        (Look("#2b7cc0", "s"), Look("#0d9a73", "^"), Look("#bf5f9e", "D")),
        strict=True,
    )
)


def draw(results: Results) -> Figure:
    """Draw the best template's speed over each rival's."""
    summary = _summary(results)
    figure = new_figure(max(6.5, 1.1 * len(set(summary["group"])) + 1.5), 3.6)
    axes = figure.subplots()
    bars(axes, summary, "group", "policy", LOOKS)
    axes.axhline(1.0, color=INK, linewidth=1.0)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:g}x")
    axes.set_ylabel("speed of the best template")
    axes.set_title("H200, measured: over")
    figure.legend(loc="outside upper left", ncols=1, handlelength=1.2)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the bars."""
    return as_points([_summary(results).assign(panel="speed")])


def _summary(results: Results) -> pd.DataFrame:
    import pandas as pd

    table = labelled(results, group=_label)
    parts = [
        summarise(table, ["group"], f"speedup_over_{name}").assign(policy=text)
        for name, text in RIVALS.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _label(config: dict[str, Any]) -> str:
    operator = config["operator"]
    return f"{shape_label(operator)}\n{operator['epilogue'].removeprefix('bias+')}"
