"""How flows of one controller share a link: Jain's index, convergence, and four flows over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures import congestion_dots
from experiments.figures.congestion_parts import as_points, faint_grid, policies_of
from experiments.figures.congestion_time import GOODPUT, LINK, SERIES
from experiments.figures.parts import new_figure
from experiments.figures.style import INK
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRICS = {
    "jain": "Jain's index of 1 s goodputs",
    "least_share": "worst flow, of its fair share",
    "convergence_s": "last flow converges after (s)",
}
SHADES = (1.0, 0.75, 0.5, 0.3)
MAX_FLOWS_DRAWN = 16


def draw(results: Results) -> Figure:
    """Draw the measures above, and one run per policy with the most flows below."""
    table, policies = _table(results), policies_of(results)
    situations = congestion_dots.situation_looks(table["situation"].tolist())
    figure = new_figure(10.5, 8.2)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.5, 1))[:, 0]
    panels = above.subplots(1, len(METRICS), sharey=True)
    for axes, (metric, label) in zip(panels, METRICS.items(), strict=True):
        congestion_dots.dots(axes, table, metric, list(policies), situations)
        axes.set_xlabel(label)
        if metric != "convergence_s":
            axes.set_xlim(0, 1.03)
        else:
            axes.set_xlim(left=-1)
    congestion_dots.legend(figure, situations)
    _runs(below, results, table)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the dots, and the goodputs over time."""
    table = _table(results)
    parts = [congestion_dots.points(table, list(METRICS))]
    for policy, run in _examples(results, table).items():
        for name, flow in run.groupby("name", sort=False):
            if name != LINK:
                rows = flow.rename(columns={"start_s": "x", GOODPUT: "mean"})
                parts.append(rows.assign(panel=GOODPUT, group=name, policy=policy, n=1))
    return as_points([part.reindex(columns=parts[0].columns) for part in parts])


def situation(config: dict[str, Any]) -> str:
    """Return what a run's flows are called in the legend."""
    count, extra = config["flows"], config["extra_rtt_ms"]
    if extra and len(set(extra)) > 1:
        trips = " and ".join(f"{config['rtt_ms'] + more:g}" for more in extra)
        return f"{count} flows, {trips} ms"
    joins = f", one every {config['stagger_s']:g} s" if config["stagger_s"] else ""
    return f"{count} flow{'s' if count > 1 else ''}{joins}"


def _table(results: Results) -> pd.DataFrame:
    names = {spec.id: situation(spec.config) for spec in results.plan.runs}
    return results.table.assign(situation=results.table.loc[:, "run_id"].map(names))


def _examples(results: Results, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return per policy the series of its first run with the most flows."""
    flows = {s.id: s.config["flows"] for s in results.plan.runs}
    most = max(flows[i] for i in table["run_id"])
    chosen = table.loc[[flows[i] == most for i in table["run_id"]]]
    ids = chosen.groupby("policy", sort=False)["run_id"].first()
    frame = results.series(SERIES, ids.tolist())
    return {str(policy): frame.loc[frame["run_id"] == run_id] for policy, run_id in ids.items()}


def _runs(figure: Any, results: Results, table: pd.DataFrame) -> None:
    examples, policies = _examples(results, table), policies_of(results)
    columns = 6
    rows = -(-len(policies) // columns)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in panels[len(policies) :]:
        axes.set_axis_off()
    for axes, (policy, look) in zip(panels, policies.items(), strict=False):
        axes.set_title(policy, fontsize=9, color=look.colour)
        if policy in examples:
            _flows(axes, examples[policy], look.colour)
        faint_grid(axes)
        axes.set_ylim(bottom=0)
    figure.supylabel("goodput (Mbit/s)", fontsize=9.5)
    for axes in panels[max(0, len(policies) - columns) : len(policies)]:
        axes.set_xlabel("time (s)")
        axes.tick_params(labelbottom=True)
    names = table["situation"].tolist()
    seeds = table["seed"].tolist()
    chosen = next(iter(examples.values()), None)
    title = "Goodput of each flow over time"
    if chosen is not None and len(chosen):
        place = table["run_id"].tolist().index(chosen["run_id"].iloc[0])
        title += f": {names[place]}, seed {seeds[place]}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, weight="bold")


def _flows(axes: Axes, frame: pd.DataFrame, colour: str) -> None:
    flows = [run for name, run in frame.groupby("name", sort=False) if name != LINK]
    for place, run in enumerate(flows[:MAX_FLOWS_DRAWN]):
        means = run[GOODPUT].rolling(4, min_periods=1).mean()
        ink = INK if place == len(flows) - 1 and place else colour
        axes.plot(
            run["start_s"], means, color=ink, alpha=SHADES[place % len(SHADES)], linewidth=1.0
        )
