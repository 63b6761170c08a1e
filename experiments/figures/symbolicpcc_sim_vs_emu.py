"""The packet engine against real packets: a dot per cell, and the cells that disagree by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures import emulated_parts
from experiments.figures.congestion_parts import (
    HERE,
    LIVE,
    as_points,
    faint_grid,
    legend,
    policies_of,
)
from experiments.figures.parts import new_figure
from experiments.figures.style import INK, Look
from experiments.kinds.congestion_agreement import (
    NEAR_DELAY,
    NEAR_QUEUEING_MS,
    NEAR_UTILISATION,
)
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANELS = {
    "utilisation": "utilisation",
    "mean_rtt_ms": "mean round trip (ms)",
    "queue_delay_ms": "mean queueing delay (ms)",
}
SHARES = {
    "agrees": f"both: within {NEAR_UTILISATION:g}, and {100 * NEAR_DELAY:g} % of the round trip",
    "utilisation_agrees": f"utilisation within {NEAR_UTILISATION:g}",
    "delay_agrees": f"round trip within {100 * NEAR_DELAY:g} %",
    "queueing_agrees": f"queueing delay within {100 * NEAR_DELAY:g} % or {NEAR_QUEUEING_MS:g} ms",
}
CELL = ("capacity.mbps", "rtt_ms", "queue.bdp", "loss.p")
MOST_LISTED = 16


def draw(results: Results) -> Figure:
    """Draw emulated over simulated values, the shares of cells that agree, and the other cells."""
    parts = emulated_parts.shown(results)
    table, policies = parts.results.table, policies_of(parts.results)
    figure = new_figure(10.5, 7.6)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.15, 1))[:, 0]
    for axes, (metric, label) in zip(above.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        _scatter(axes, table, metric, policies)
        if parts.live is not None:
            _mark(axes, parts.live.table, metric)
        axes.set_xlabel(f"simulated {label}")
        axes.set_ylabel(f"emulated {label}")
        faint_grid(axes)
    left, right = below.subplots(1, 2, width_ratios=(1, 1.15))
    _shares(left, table, policies)
    _others(right, table)
    legend(figure, policies, [] if parts.live is None else [_handle()])
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the dots; `x` is simulated, `mean` emulated. Then the shares of cells that agree."""
    parts = emulated_parts.shown(results)
    found = []
    tables = {HERE: parts.results.table}
    if parts.live is not None:
        tables[LIVE] = parts.live.table
    for group, table in tables.items():
        for metric in PANELS:
            rows = table.rename(columns={f"simulated_{metric}": "x", metric: "mean"})
            rows = rows.assign(panel=metric, group=group, n=1)
            found.append(rows[["panel", "group", "policy", "x", "mean", "n"]])
    for metric in SHARES:
        grouped: Any = parts.results.table.groupby("policy", sort=False)[metric]
        rows = grouped.agg(["mean", "count"]).reset_index().rename(columns={"count": "n"})
        found.append(rows.assign(panel=metric, group=HERE))
    return as_points(found)


def _scatter(axes: Axes, table: pd.DataFrame, metric: str, policies: dict[str, Look]) -> None:
    import numpy as np

    for policy, look in policies.items():
        rows = table.loc[table["policy"] == policy]
        style = {"color": look.colour, "marker": look.marker, "markersize": 5, "alpha": 0.8}
        axes.plot(rows[f"simulated_{metric}"], rows[metric], linestyle="none", **style)
    if metric == "utilisation":
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.7, alpha=0.6)
        for shift in (-NEAR_UTILISATION, NEAR_UTILISATION):
            axes.plot([0, 1], [shift, 1 + shift], color=INK, linewidth=0.7, linestyle=(0, (1, 2)))
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        return
    values = table[[metric, f"simulated_{metric}"]].to_numpy(float)
    values = values[np.isfinite(values) & (values > 0)]
    low, high = (values.min(), values.max()) if len(values) else (1.0, 10.0)
    ends = np.array([max(low / 1.5, 0.01), 1.5 * high])
    for factor in (1.0, 1.0 - NEAR_DELAY, 1.0 + NEAR_DELAY):
        dots = "-" if factor == 1.0 else (0, (1, 2))
        axes.plot(ends, factor * ends, color=INK, linewidth=0.7, alpha=0.6, linestyle=dots)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)


def _mark(axes: Axes, table: pd.DataFrame, metric: str) -> None:
    axes.plot(table[f"simulated_{metric}"], table[metric], **_ring())


def _handle() -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=LIVE, **_ring())


def _ring() -> dict[str, Any]:
    ring = {"markerfacecolor": "none", "markeredgecolor": INK, "markeredgewidth": 1.4}
    return {"linestyle": "none", "marker": "o", "markersize": 11, **ring}


def _shares(axes: Axes, table: pd.DataFrame, policies: dict[str, Look]) -> None:
    """Draw how many cells agree, in per cent, by every measure."""
    for place, metric in enumerate(SHARES):
        for offset, (policy, look) in enumerate(policies.items()):
            rows = table.loc[table["policy"] == policy, metric]
            if len(rows):
                height = place + 0.14 * (offset - (len(policies) - 1) / 2)
                axes.plot(100 * rows.mean(), height, look.marker, color=look.colour, clip_on=False)
    axes.axvline(90, color=INK, linewidth=0.8, alpha=0.6, linestyle=(0, (5, 2)))
    axes.set_yticks(range(len(SHARES)), [_wrapped(words) for words in SHARES.values()])
    axes.set_ylim(len(SHARES) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("cells that agree (%); dashed: the aim")
    faint_grid(axes, "x")


def _wrapped(words: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(words, 26))


def _others(axes: Axes, table: pd.DataFrame) -> None:
    """List the cells that do not agree."""
    axes.set_axis_off()
    rows = table.loc[table["agrees"] == 0]
    lines = [_line(row) for row in rows.to_dict("records")]
    more = [f"... and {len(lines) - MOST_LISTED} more"] if len(lines) > MOST_LISTED else []
    head = "Cells that do not agree: emulated / simulated" if lines else "All cells agree"
    axes.set_title(head)
    text = "\n".join([*lines[:MOST_LISTED], *more])
    said: dict[str, Any] = {"ha": "left", "va": "top", "fontsize": 7.5, "family": "monospace"}
    axes.text(0.0, 0.98, text, transform=axes.transAxes, **said)


def _line(row: dict[str, Any]) -> str:
    mbps, rtt, bdp, loss = (row.get(name) for name in CELL)
    where = f"{row['policy']:8} {mbps:g} Mbit/s {rtt:g} ms {bdp:g} BDP {100 * float(loss or 0):g} %"
    used = f"{row['utilisation']:.3f}/{row['simulated_utilisation']:.3f}"
    return f"{where:42}{used}, {row['mean_rtt_ms']:.0f}/{row['simulated_mean_rtt_ms']:.0f} ms"
