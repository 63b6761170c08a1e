"""How faithfully policies repeat the teacher: numbers above, the actions themselves below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures import congestion_dots
from experiments.figures.congestion_parts import as_points, faint_grid, policies_of
from experiments.figures.parts import new_figure
from experiments.figures.style import INK, Look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SERIES = "actions"
METRICS = {
    "r2": "R² of the teacher's actions",
    "mean_absolute_error": "mean absolute error",
    "same_sign": "share with the same sign",
}
STATES = {
    "teacher": "on states that the teacher led to",
    "own": "on states that the policy led to itself",
}
MOST_SHOWN = 6
LEAST_R2 = -1.0
"""Where the scale of R² begins; what lies below is left at the edge."""


def draw(results: Results) -> Figure:
    """Draw the measures as dots, and a cloud of actions on own states for some policies."""
    table, policies = _table(results), list(policies_of(results))
    situations = congestion_dots.situation_looks([STATES[name] for name in STATES])
    clouds = _clouds(results)
    above_height = 1.2 + 0.3 * len(policies)
    figure = new_figure(10.5, above_height + (2.6 if clouds else 0.0))
    ratios = (above_height, 2.6)[: 1 + bool(clouds)]
    parts = figure.subfigures(len(ratios), 1, squeeze=False, height_ratios=ratios)[:, 0]
    if clouds:
        _draw_clouds(parts[1], clouds, policies_of(results))
    panels = parts[0].subplots(1, len(METRICS), sharey=True)
    for axes, (metric, label) in zip(panels, METRICS.items(), strict=True):
        shown = table.assign(**{metric: table[metric].clip(lower=LEAST_R2)})
        congestion_dots.dots(axes, shown, metric, policies, situations)
        axes.set_xlabel(label)
        axes.margins(x=0.08)
    panels[0].set_xlim(max(LEAST_R2, panels[0].get_xlim()[0]) - 0.02, 1.03)
    panels[1].set_xlim(left=0)
    panels[2].set_xlim(right=1.02)
    congestion_dots.legend(parts[0], situations)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the dots, and the actions that are drawn."""
    parts = [congestion_dots.points(_table(results), list(METRICS))]
    for policy, cloud in _clouds(results).items():
        rows = cloud.rename(columns={"teacher": "x", "action": "mean"})
        parts.append(rows[["x", "mean"]].assign(panel=SERIES, group=STATES["own"], policy=policy))
    return as_points([part.reindex(columns=parts[0].columns) for part in parts])


def _table(results: Results) -> pd.DataFrame:
    names = {spec.id: STATES[str(spec.config["states"])] for spec in results.plan.runs}
    return results.table.assign(situation=[names[i] for i in results.table["run_id"]])


def _clouds(results: Results) -> dict[str, pd.DataFrame]:
    """Return policy -> its first run's sample of actions on its own states."""
    own = {spec.id for spec in results.plan.runs if spec.config["states"] == "own"}
    table = results.table
    chosen = table.loc[table["run_id"].isin(list(own))].groupby("policy", sort=False)["run_id"]
    ids = chosen.first()
    frame = results.series(SERIES, ids.tolist())
    if not len(frame):
        return {}
    wanted = [name for name in ids.index if name != "teacher"][:MOST_SHOWN]
    return {str(policy): frame.loc[frame["run_id"] == ids[policy]] for policy in wanted}


def _draw_clouds(figure: Any, clouds: dict[str, pd.DataFrame], looks: dict[str, Look]) -> None:
    panels = figure.subplots(1, MOST_SHOWN, sharex=True, sharey=True)
    for axes in panels[len(clouds) :]:
        axes.set_axis_off()
    for axes, (policy, cloud) in zip(panels, clouds.items(), strict=False):
        _cloud(axes, cloud, looks[policy].colour)
        axes.set_title(policy, fontsize=9)
        axes.set_xlabel("teacher's action")
    panels[0].set_ylabel("policy's action")
    panels[0].set_xlim(-1.05, 1.05)
    panels[0].set_ylim(-1.05, 1.05)
    figure.suptitle(f"Actions {STATES['own']}", x=0.01, ha="left", fontsize=10.5, weight="bold")


def _cloud(axes: Axes, cloud: pd.DataFrame, colour: str) -> None:
    axes.plot([-1, 1], [-1, 1], color=INK, linewidth=0.7, alpha=0.5)
    style: dict[str, Any] = {"linestyle": "none", "marker": ".", "markersize": 2.2, "alpha": 0.35}
    axes.plot(cloud["teacher"], cloud["action"], color=colour, rasterized=True, **style)
    axes.set_aspect("equal")
    faint_grid(axes)
