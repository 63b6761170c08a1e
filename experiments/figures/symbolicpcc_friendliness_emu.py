"""What each controller leaves to a kernel CUBIC or BBR flow beside it, with real packets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures import congestion_dots, emulated_parts
from experiments.figures.congestion_parts import CEILING, policies_of
from experiments.figures.parts import new_figure
from experiments.figures.style import INK
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

METRICS = {
    "competitor_share": "the other's goodput / its fair share",
    "utilisation": "utilisation, both flows",
    "queue_delay_ms": "queueing delay (ms)",
}


def draw(results: Results) -> Figure:
    """Draw a dot per controller and competitor."""
    shown = emulated_parts.shown(results).results
    table = _table(results)
    situations = congestion_dots.situation_looks(table["situation"].tolist())
    figure = new_figure(10.5, 4.6)
    panels = figure.subplots(1, len(METRICS), sharey=True, width_ratios=(1.6, 1, 1))
    for axes, (metric, label) in zip(panels, METRICS.items(), strict=True):
        congestion_dots.dots(axes, table, metric, list(policies_of(shown)), situations)
        axes.set_xlabel(label)
    panels[0].axvline(1.0, color=INK, linewidth=1, alpha=0.7)
    panels[0].set_xlim(0, max(2.05, panels[0].get_xlim()[1]))
    panels[1].axvline(CEILING, color=INK, linewidth=0.8, alpha=0.6, linestyle=(0, (1, 2)))
    panels[1].set_xlim(min(0.85, panels[1].get_xlim()[0]), 0.97)
    panels[2].set_xlim(left=0)
    congestion_dots.legend(figure, situations)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the dots."""
    return congestion_dots.points(_table(results), list(METRICS))


def situation(config: dict[str, Any]) -> str:
    """Return what a run's competitor is called in the legend."""
    names = " and ".join(other["policy"] for other in config["competitors"])
    return f"beside {names or 'nobody'}"


def _table(results: Results) -> pd.DataFrame:
    """Return the runs, those measured just now in situations of their own."""
    import pandas as pd

    parts = emulated_parts.shown(results)
    found = [_named(parts.results, "")]
    if parts.live is not None:
        found.append(_named(parts.live, ", measured just now"))
    return pd.concat(found, ignore_index=True)


def _named(results: Results, more: str) -> pd.DataFrame:
    names = {spec.id: situation(spec.config) + more for spec in results.plan.runs}
    return results.table.assign(situation=results.table.loc[:, "run_id"].map(names))
