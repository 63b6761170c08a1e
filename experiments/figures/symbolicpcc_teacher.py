"""Learning curves of teachers on validation links, with the published weights as a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.congestion_parts import as_points, faint_grid
from experiments.figures.parts import new_figure, time_series
from experiments.figures.style import INK, look
from experiments.tables import Results

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

SERIES = "learning"
CURVES = {
    "validation_ratio": ("ratio of mean rewards", "-", "published_share_ratio_of_means"),
    "validation_median": ("median link", (0, (4, 1.5)), "published_share_median"),
}
"""Column of the series -> what it is, how it is drawn, and the published weights' metric."""
PANELS = {
    "legacy": "PccLegacy-v0: PCC-RL's links, 1.2 to 6 Mbit/s",
    "corrected": "Pcc-v1: 1 to 100 Mbit/s",
}
PUBLISHED = "published weights, on test links"
LOWEST = -0.1


def draw(results: Results) -> Figure:
    """Draw a panel per variant: the mean over seeds within a band from least to most."""
    panels = _panels(results)
    figure = new_figure(4.6 * len(panels) + 0.6, 3.6)
    axes_of = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    colour = look("aurora_gym").colour
    for axes, (variant, curves) in zip(axes_of, panels.items(), strict=True):
        for name, (label, dashes, metric) in CURVES.items():
            steps, runs = curves[name]
            if len(runs):
                time_series(axes, steps / 1e6, list(runs), colour, label, dashes)
            level = _published(results, variant, metric)
            if level is not None:
                words = f"{PUBLISHED}: {label}"
                axes.axhline(level, color=INK, linewidth=0.9, linestyle=dashes, label=words)
        _dress(axes, PANELS[variant])
    axes_of[0].set_ylabel("share of the ideal reward")
    _legend(figure, list(axes_of))
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the curves' points, with least and most over seeds, and the published weights'."""
    import pandas as pd

    parts = []
    for variant, curves in _panels(results).items():
        for name, (_, _, metric) in CURVES.items():
            steps, runs = curves[name]
            if len(runs):
                known = {
                    "mean": runs.mean(axis=0),
                    "low": runs.min(axis=0),
                    "high": runs.max(axis=0),
                    "n": len(runs),
                }
                labels = {"panel": variant, "group": name, "policy": "teacher"}
                parts.append(pd.DataFrame({**labels, "x": steps, **known}))
            level = _published(results, variant, metric)
            if level is not None:
                labels = {"panel": variant, "group": name, "policy": PUBLISHED}
                parts.append(pd.DataFrame([{**labels, "mean": level}]))
    return as_points(parts)


def _variants(results: Results) -> dict[str, str]:
    """Return run id -> variant, of the finished runs."""
    done = set(results.run_ids)
    return {s.id: str(s.config["variant"]) for s in results.plan.runs if s.id in done}


def _panels(
    results: Results,
) -> dict[str, dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]]:
    """Return variant -> column -> environment steps, and values [runs, steps].

    Runs that were evaluated at other steps than the first one (a changed sweep) are brought to
    its steps by linear interpolation.
    """
    import numpy as np

    frame = results.series(SERIES)
    found: dict[str, dict[str, Any]] = {}
    for run_id, variant in _variants(results).items():
        found.setdefault(variant, {name: (np.empty(0), np.empty((0, 0))) for name in CURVES})
        rows = frame.loc[frame["run_id"] == run_id] if len(frame) else frame
        if not len(rows):
            continue
        steps = rows["steps"].to_numpy(float)
        for name in CURVES:
            at, runs = found[variant][name]
            at = at if len(runs) else steps
            curve = np.interp(at, steps, rows[name].to_numpy(float))
            found[variant][name] = (at, np.vstack([runs, curve]) if len(runs) else curve[None])
    return found


def _published(results: Results, variant: str, metric: str) -> float | None:
    """Return what the published weights reach, if any run of the variant says so."""
    mine = [run_id for run_id, name in _variants(results).items() if name == variant]
    values = results.table.loc[results.table["run_id"].isin(mine), metric].dropna()
    return float(values.iloc[0]) if len(values) else None


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("environment steps (millions)")
    axes.set_ylim(LOWEST, 1.02)
    axes.axhline(1.0, color=INK, linewidth=0.6, alpha=0.5)
    faint_grid(axes)


def _legend(figure: Figure, panels: list[Axes]) -> None:
    handles: dict[str, Any] = {}
    for axes in panels:
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(list(handles.values()), list(handles), loc="outside upper left", ncols=2)
