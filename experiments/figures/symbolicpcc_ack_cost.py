"""What rules cost in the kernel, per ACK and per gigabyte, beside its own CUBIC and BBR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures import emulated_parts
from experiments.figures.congestion_parts import HERE, LIVE, as_points
from experiments.figures.congestion_shares import side_dots, sides
from experiments.figures.parts import new_figure, summarise
from experiments.figures.style import INK, Look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINK = ("mbps", "rtt_ms")
ACK = {
    "rule_ack_ns": ("the rule", Look("#d55e00", "o")),
    "cubic_ack_ns": ("CUBIC; by eBPF per ACK, the kernel's per gigabyte", Look("#2b7cc0", "s")),
    "bbr_ack_ns": ("BBR; likewise", Look("#0d9a73", "^")),
}
CPU = {
    "rule_cpu_s_per_gb": ACK["rule_ack_ns"],
    "cubic_cpu_s_per_gb": ACK["cubic_ack_ns"],
    "cubic_paced_cpu_s_per_gb": ("CUBIC, paced", Look("#8a63c8", "D")),
    "bbr_cpu_s_per_gb": ACK["bbr_ack_ns"],
}
"""Metric -> what it is, and how it is drawn."""
MOST_RATIO = 2.0


def draw(results: Results) -> Figure:
    """Draw times per ACK at the left, CPU per gigabyte at the right; the aim as a bar."""
    parts = emulated_parts.shown(results)
    table = _labelled(parts.results.table)
    rows = list(dict.fromkeys(table["label"]))
    figure = new_figure(10.5, 1.7 + 0.4 * max(len(rows), 4))
    left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
    heights = sides(left, rows)
    _dots(left, table, ACK, heights, "label")
    _aim(left, table, heights)
    left.set_xlim(left=0.0)
    left.set_xlabel(f"ns in callbacks per ACK; bar: {MOST_RATIO:g} x CUBIC")
    _dots(right, table, CPU, sides(right, list(dict.fromkeys(table["policy"]))), "policy")
    right.set_xlim(left=0.0)
    right.set_xlabel("CPU seconds per gigabyte of payload, whole machine")
    live = None if parts.live is None else _labelled(parts.live.table)
    if live is not None:
        _ring(left, live, heights)
    _legend(figure, live is not None)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the dots; `x` is the link's rate times its RTT, in packets of 1514 bytes."""
    parts = emulated_parts.shown(results)
    found = []
    tables = {HERE: parts.results.table}
    if parts.live is not None:
        tables[LIVE] = parts.live.table
    for group, table in tables.items():
        table = table.assign(x=1e3 * table["mbps"] * table["rtt_ms"] / 8 / 1514)
        for metric in (*ACK, *CPU, "ack_ratio", "acks_per_decision"):
            rows = summarise(table, ["policy", "x"], metric)
            found.append(rows.assign(panel=metric, group=group))
    return as_points(found)


def _labelled(table: pd.DataFrame) -> pd.DataFrame:
    mbps, rtt = (table[name].map("{:g}".format) for name in LINK)
    return table.assign(label=table["policy"] + ", " + mbps + " Mbit/s, " + rtt + " ms")


def _dots(
    axes: Axes, table: pd.DataFrame, what: dict[str, Any], heights: dict[Any, float], column: str
) -> None:
    for metric, (_, look) in what.items():
        found = summarise(table, [column], metric)
        side_dots(axes, found, heights, {name: look for name in heights}, column)


def _aim(axes: Axes, table: pd.DataFrame, heights: dict[Any, float]) -> None:
    """Mark twice CUBIC's time on every row."""
    for row in summarise(table, ["label"], "cubic_ack_ns").to_dict("records"):
        at, height = MOST_RATIO * row["mean"], heights[row["label"]]
        axes.plot([at, at], [height - 0.3, height + 0.3], color=INK, linewidth=1.0)


def _ring(axes: Axes, live: pd.DataFrame, heights: dict[Any, float]) -> None:
    for row in live.to_dict("records"):
        if row["label"] in heights:
            at = [row[metric] for metric in ACK]
            axes.plot(at, [heights[row["label"]]] * len(at), **_ring_style())


def _ring_style() -> dict[str, Any]:
    ring = {"markerfacecolor": "none", "markeredgecolor": INK, "markeredgewidth": 1.4}
    return {"linestyle": "none", "marker": "o", "markersize": 11, **ring}


def _legend(figure: Figure, live: bool) -> None:
    from matplotlib.lines import Line2D

    handles: list[Any] = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle="none", label=words)
        for words, look in {**ACK, **CPU}.values()
    ]
    handles = list({handle.get_label(): handle for handle in handles}.values())
    if live:
        handles.append(Line2D([], [], label=LIVE, **_ring_style()))
    figure.legend(handles=handles, loc="outside upper left", ncols=4)
