"""A surface of overlap drawn: hidden fraction by ratio of the two amounts, and models' errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import new_figure
from experiments.figures.style import COMPUTE, INK, MEMORY
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MODELS = {
    "sum": "no overlap",
    "max": "perfect overlap",
    "partial_half": "partial(0.5)",
    "partial_fitted": "partial(h), fitted",
    "interference": "NanoFlow's table",
    "surface": "polynomial",
}


def draw_surface(results: Results, title: str) -> Figure:
    """Draw h over T_mem / T_comp, and beside it the median error of each model."""
    found = surface_points(results)
    dots, bars = (found.loc[found["panel"] == name] for name in ("h", "error"))
    figure = new_figure(10.0, 3.6)
    left, right = figure.subplots(1, 2)
    left.axhline(0.0, color=INK, linewidth=0.8)
    left.axhline(1.0, color=INK, linewidth=0.8)
    left.plot(dots["x"], dots["value"], "o", color=MEMORY, markersize=3.5, linestyle="none")
    left.set_xscale("log", base=2)
    left.set_xlabel("memory time / compute time")
    left.set_ylabel("hidden share of the shorter part")
    left.set_title(title)
    right.barh(range(len(bars)), bars["value"], color=COMPUTE)
    right.set_yticks(range(len(bars)), bars["name"])
    right.invert_yaxis()
    right.set_xlabel("median relative error, %, on points not fitted to")
    return figure


def surface_points(results: Results) -> pd.DataFrame:
    """Return the dots (`h`) of the first run, and bars (`error`, %): means of runs like it."""
    import pandas as pd

    first = str(results.table["run_id"].iloc[0])
    series = results.series("surface", [first])
    dots = pd.DataFrame(
        {
            "panel": "h",
            "name": "",
            "x": series["memory_ms"] / series["compute_ms"],
            "value": series["h"],
        }
    )
    config = {spec.id: spec.config for spec in results.plan.runs}
    alike = [run for run in results.table["run_id"] if _point(config[run]) == _point(config[first])]
    chosen = results.table.loc[results.table["run_id"].isin(alike)]
    rows = [
        {"panel": "error", "name": label, "x": 0.0, "value": 100 * chosen[f"error_{model}"].mean()}
        for model, label in MODELS.items()
    ]
    return pd.concat([dots, pd.DataFrame(rows)], ignore_index=True)


def _point(config: dict[str, object]) -> tuple[object, object]:
    return config["source"], config["priority"]
