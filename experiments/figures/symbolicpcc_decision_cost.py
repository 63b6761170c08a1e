"""What a decision takes: rules and networks in C, compiled by numba, and in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.congestion_parts import as_points, faint_grid, policies_of
from experiments.figures.congestion_shares import shares, side_dots, sides
from experiments.figures.parts import new_figure, summarise
from experiments.figures.style import INK, Look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMS = {
    "c_native_ns": ("C, -O3 -march=native", Look("#d55e00", "o")),
    "c_ns": ("C, -O2", Look("#2b7cc0", "s")),
    "c_float_ns": ("C, single precision", Look("#0d9a73", "^")),
    "compiled_ns": ("numba, as controllers run it", Look("#8a63c8", "D")),
    "numpy_ns": ("NumPy, a call per decision", Look("#7d8590", "v")),
}
"""Metric -> what it is, and how it is drawn."""
BEST = "c_native_ns"


def draw(results: Results) -> Figure:
    """Draw times of all forms at the left, times in C over operations at the right."""
    policies = policies_of(results)
    figure = new_figure(10.5, 1.6 + 0.33 * max(len(policies), 6))
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    heights = sides(left, list(policies))
    for metric, (_, look) in FORMS.items():
        found = shares(results.table, ["policy"], metric)
        side_dots(left, found, heights, dict.fromkeys(policies, look), "policy")
    left.set_xscale("log")
    left.set_xlabel("ns for a decision; median, with quartiles where there is one run")
    _over_operations(right, results, policies)
    _legend(figure)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the times of all forms, and operations."""
    parts = [shares(results.table, ["policy"], metric).assign(panel=metric) for metric in FORMS]
    for metric in ("operations", "operations_in_all", "multiply_adds", "speedup"):
        parts.append(summarise(results.table, ["policy"], metric).assign(panel=metric))
    return as_points(parts)


def _over_operations(axes: Axes, results: Results, policies: dict[str, Look]) -> None:
    times = shares(results.table, ["policy"], BEST).set_index("policy")
    counts = summarise(results.table, ["policy"], "operations").set_index("policy")
    known = [name for name in counts.sort_values("mean").index if name in times.index]
    for place, name in enumerate(known):
        look = policies[name]
        x, y = float(counts.loc[name, "mean"]), float(times.loc[name, "mean"])
        axes.plot([x], [y], color=look.colour, marker=look.marker, linestyle="none", markersize=6)
        above: dict[str, Any] = {
            "xytext": (0, 7 if place % 2 else -14),
            "textcoords": "offset points",
        }
        axes.annotate(name, (x, y), **above, ha="center", fontsize=8, color=INK)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(x=0.35, y=0.15)
    axes.set_xlabel("operations on the costliest path")
    axes.set_ylabel(f"ns, {FORMS[BEST][0]}")
    faint_grid(axes)


def _legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    handles: list[Any] = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle="none", label=words)
        for words, look in FORMS.values()
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=3)
