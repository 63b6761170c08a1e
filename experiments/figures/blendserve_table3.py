"""BlendServe on one, two and four GPUs, Table 3 as bars: throughput, and its growth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.parts import bar_offset, bars, new_figure, paper_marker, summarise
from experiments.figures.serving_layouts import against, as_group, by_layout
from experiments.figures.serving_mixes import mix_label
from experiments.figures.serving_orders import (
    THROUGHPUT,
    as_points,
    explain_whiskers,
    policy_legend,
)
from experiments.figures.style import INK, Look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Printed = dict[tuple[float, float], dict[str, float]]
LOOKS = {
    "1 GPU": Look("#f0b48c", "o"),
    "2 GPUs": Look("#e07a2e", "s"),
    "4 GPUs": Look("#a8480a", "^"),
}
# Table 3, printed: density and sharing of the pool -> tokens/s and growth, by layout.
TOKENS_S: Printed = {
    (1.4, 0.35): {"1 GPU": 11080, "2 GPUs": 20561, "4 GPUs": 41928},
    (0.9, 0.35): {"1 GPU": 8408, "2 GPUs": 16261, "4 GPUs": 32537},
    (1.4, 0.05): {"1 GPU": 8403, "2 GPUs": 15623, "4 GPUs": 32026},
    (0.9, 0.05): {"1 GPU": 6325, "2 GPUs": 12246, "4 GPUs": 24541},
}
GROWTH: Printed = {
    (1.4, 0.35): {"2 GPUs": 1.85, "4 GPUs": 3.78},
    (0.9, 0.35): {"2 GPUs": 1.93, "4 GPUs": 3.86},
    (1.4, 0.05): {"2 GPUs": 1.85, "4 GPUs": 3.81},
    (0.9, 0.05): {"2 GPUs": 1.93, "4 GPUs": 3.88},
}


def draw(results: Results) -> Figure:
    """Draw throughput at the left, its growth over one GPU at the right."""
    figure = new_figure(10.5, 4.0)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    throughput, growth = _panels(results)
    _panel(left, results, throughput, TOKENS_S)
    left.set_title("Throughput")
    left.set_ylabel("tokens/s, all GPUs")
    left.yaxis.set_major_formatter("{x:,.0f}")
    explain_whiskers(left, throughput)
    for ideal in (2, 4):
        right.axhline(ideal, color=INK, alpha=0.45, linewidth=0.9, linestyle=(0, (4, 3)))
    _panel(right, results, growth, GROWTH)
    right.set_title("Growth over one GPU (dashed: ideal)")
    right.set_ylabel("throughput / that of one GPU")
    right.set_ylim(0, 4.3)
    policy_legend(figure, left)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the bars and the paper's values."""
    import pandas as pd

    parts = []
    for name, summary in zip(("throughput", "growth"), _panels(results), strict=True):
        parts.append(as_group(summary, name))
        printed: Printed = {"throughput": TOKENS_S, "growth": GROWTH}[name]
        rows = [
            {"panel": name, "group": "paper (printed)", "policy": f"{layout} {key}", "mean": value}
            for key, values in printed.items()
            for layout, value in values.items()
        ]
        parts.append(pd.DataFrame(rows))
    return as_points(parts)


def _name(config: dict[str, Any]) -> str:
    ranks = config["ranks"]
    return f"{ranks} GPU" if ranks == 1 else f"{ranks} GPUs"


def _panels(results: Results) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = by_layout(results, _name)
    growth = against(table, THROUGHPUT, "1 GPU")
    return summarise(table, ["mix", "layout"], THROUGHPUT), growth


def _panel(axes: Axes, results: Results, summary: pd.DataFrame, printed: Printed) -> None:
    """Draw the bars of each pool, and the paper's values over them."""
    places = bars(axes, summary, "mix", "layout", LOOKS)
    layouts = [name for name in LOOKS if name in set(summary["layout"])]
    keys = {mix_label(spec.point, spec.config): _key(spec.config) for spec in results.plan.runs}
    for mix, at in places.items():
        for layout, value in printed.get(keys[mix], {}).items():
            if layout in layouts:
                x = at + bar_offset(layouts.index(layout), len(layouts))
                paper_marker(axes, x, value)


def _key(config: dict[str, Any]) -> tuple[float, float]:
    workload = config["workload"]
    return workload["density"], workload["sharing"]
