"""What figures of emulated links share: a few live cells among recorded ones, told apart.

At size quick a machine measures a cell or two; the rest of the figure is what was recorded. Where a
size has wholly run here, or nothing is recorded, only the runs themselves are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.figures import congestion_sweep, congestion_time
from experiments.recorded import recorded
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Shown:
    """What a figure shows.

    Attributes:
        results: of the lines.
        live: of the marks that stand out; None: the lines are live, or all is recorded.
    """

    results: Results
    live: Results | None


def shown(results: Results) -> Shown:
    """Return what to draw of an experiment."""
    if results.origin == "recorded" or results.plan.overridden or results.plan.size != "quick":
        return Shown(results, None)
    kept = recorded(results.manifest, results.store)
    return Shown(results, None) if kept is None else Shown(kept, results)


def draw_sweep(results: Results, sweep: congestion_sweep.Sweep) -> Figure:
    """Draw a sweep; live cells are ringed."""
    parts = shown(results)
    live = None if parts.live is None else parts.live.table
    return congestion_sweep.draw(parts.results, sweep, live)


def sweep_points(results: Results, sweep: congestion_sweep.Sweep) -> pd.DataFrame:
    """Return the markers, live ones in a group of their own, and the paper's."""
    parts = shown(results)
    live = None if parts.live is None else parts.live.table
    return congestion_sweep.points(parts.results, sweep, live)


def draw_time(results: Results, over_time: congestion_time.OverTime) -> Figure:
    """Draw series over time; live ones are dark lines."""
    parts = shown(results)
    live = None if parts.live is None else parts.live.series(congestion_time.SERIES)
    return congestion_time.draw(parts.results, over_time, live)


def time_points(results: Results, over_time: congestion_time.OverTime) -> pd.DataFrame:
    """Return the steps, live ones in a group of their own, and the paper's points."""
    parts = shown(results)
    live = None if parts.live is None else parts.live.series(congestion_time.SERIES)
    return congestion_time.points(parts.results, over_time, live)
