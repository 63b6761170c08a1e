"""BlendServe's gain over DFS on the grid of densities and sharing ratios (Fig. 11, 13 to 15)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from experiments.figures.parts import heat_map, new_figure, summarise
from experiments.figures.serving_orders import (
    BASELINE,
    as_points,
    main_model,
    relative_throughput,
    runs_table,
)
from experiments.figures.serving_paper import MARK
from experiments.figures.style import INK
from experiments.tables import Results

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HERO = "blendserve"
DENSITY, SHARING = "workload.density", "workload.sharing"
LINES = (("#2b7cc0", "s"), ("#d55e00", "o"), ("#0d9a73", "^"))
"""Looks of the least, the middle and the largest sharing."""

Printed = Mapping[tuple[float, float], float]


# paper: blendserve 6.5
def draw_grid(results: Results, printed: Printed) -> Figure:
    """Draw our cells, with `printed` the paper's and the difference, then gains over density."""
    import numpy as np

    cells = cells_of(results)
    ours = _matrix(cells, {_key(row): row["mean"] for row in cells.to_dict("records")})
    maps = 3 if printed else 1
    figure = new_figure(11.0 if printed else 8.4, 5.6 if printed else 3.6)
    panels = figure.subplots(1, maps + 1, width_ratios=[*[1.0] * maps, 1.5 if printed else 1.2])
    known = [*ours[np.isfinite(ours)].tolist(), *printed.values()]
    limits = (min(known, default=1.0), max(known, default=1.0))
    _map(panels[0], ours, cells, "Ours", limits=limits)
    if printed:
        paper = _matrix(cells, printed)
        far = float(np.nanmax(np.abs(ours - paper), initial=0.01))
        _map(panels[1], paper, cells, f"Paper ({MARK})", limits=limits)
        words = {"colours": "RdBu", "limits": (-far, far), "template": "{:+.2f}"}
        _map(panels[2], ours - paper, cells, "Ours \N{MINUS SIGN} paper", **words)
    panels[0].set_ylabel("density of the mix")
    _lines(panels[maps], cells, printed)
    figure.suptitle(_title(results), x=0.01, ha="left", fontsize=10.5, weight="bold")
    return figure


def grid_points(results: Results, printed: Printed) -> pd.DataFrame:
    """Return the cells, ours and the paper's: group is the sharing ratio, x the density."""
    import pandas as pd

    cells = cells_of(results)
    named = {SHARING: "group", DENSITY: "x"}
    parts = [cells.rename(columns=named).assign(panel="gain", policy=HERO)]
    rows = [{"x": x, "group": group, "mean": gain} for (x, group), gain in printed.items()]
    if rows:
        parts.append(pd.DataFrame(rows).assign(panel="gain", policy=f"paper ({MARK})"))
    return as_points(parts)


def cells_of(results: Results) -> pd.DataFrame:
    """Return the gain per cell: density, sharing, mean, low, high, n."""
    ratios = relative_throughput(results, runs_table(results), [DENSITY, SHARING])
    return summarise(ratios.loc[ratios["policy"] == HERO], [DENSITY, SHARING], "ratio")


def _title(results: Results) -> str:
    """Return what is compared: the size of the pools decides the gain as much as the mix does."""
    sizes = sorted({spec.config["workload"]["requests"] for spec in results.plan.runs})
    requests = " and ".join(f"{size:,}" for size in sizes)
    model = main_model(runs_table(results))
    return f"Throughput of {HERO} over {BASELINE}, pools of {requests} requests, {model}"


def _key(row: dict[str, float]) -> tuple[float, float]:
    return row[DENSITY], row[SHARING]


def _sorted(cells: pd.DataFrame, column: str) -> list[float]:
    return sorted(set(cells[column]))


def _matrix(cells: pd.DataFrame, values: Printed) -> np.ndarray:
    """Return values by (density, sharing) as rows by columns; NaN where there is none."""
    import numpy as np

    rows, columns = _sorted(cells, DENSITY), _sorted(cells, SHARING)
    found = [values.get((row, column), np.nan) for row in rows for column in columns]
    return np.array(found, float).reshape(len(rows), len(columns))


def _map(axes: Axes, values: np.ndarray, cells: pd.DataFrame, title: str, **look: Any) -> None:
    columns = [f"{100 * s:g} %" for s in _sorted(cells, SHARING)]
    heat_map(axes, values, columns, [f"{d:.2f}" for d in _sorted(cells, DENSITY)], **look)
    axes.set_title(title, fontsize=9.5)
    axes.set_xlabel("sharing")


def _lines(axes: Axes, cells: pd.DataFrame, printed: Printed) -> None:
    sharings = _sorted(cells, SHARING)
    middle = len(sharings) // 2
    chosen = sharings if len(sharings) < 4 else [sharings[0], sharings[middle], sharings[-1]]
    for sharing, (colour, marker) in zip(chosen, LINES, strict=False):
        rows = cells.loc[cells[SHARING] == sharing].sort_values(DENSITY)
        label = f"sharing {100 * sharing:g} %"
        x = rows[DENSITY].to_numpy(float)
        axes.plot(x, rows["mean"], color=colour, marker=marker, markersize=4, label=label)
        if rows["low"].notna().all():
            low, high = rows["low"].to_numpy(float), rows["high"].to_numpy(float)
            axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    if printed and sharings:
        _paper_line(axes, printed, sharings[middle])
    axes.axhline(1.0, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_title("Gain (bands: 95 % over seeds)", fontsize=9.5)
    axes.set_xlabel("density of the mix")
    axes.grid(color=INK, alpha=0.12, linewidth=0.6)
    axes.legend(loc="best", fontsize=8.5)


def _paper_line(axes: Axes, printed: Printed, sharing: float) -> None:
    """Draw the paper's cells of one sharing ratio as hollow diamonds."""
    known = sorted((density, gain) for (density, s), gain in printed.items() if s == sharing)
    style = {"markerfacecolor": "none", "markeredgecolor": INK, "markeredgewidth": 1.4}
    label = f"paper ({MARK}), sharing {100 * sharing:g} %"
    x, y = [density for density, _ in known], [gain for _, gain in known]
    axes.plot(x, y, linestyle="none", marker="D", markersize=7, label=label, zorder=5, **style)
