"""DistServe's layouts against co-located vLLM, per GPU, as the paper's Fig. 8; who is idle.

The bars of the paper's figure are not known, only their order, so none are drawn here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.parts import bars, new_figure, summarise
from experiments.figures.serving_layouts import against, as_group, by_layout
from experiments.figures.serving_orders import (
    as_points,
    explain_whiskers,
    policy_legend,
    share_axis,
)
from experiments.figures.style import Look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRIC = "throughput_per_gpu_tokens_s"
COLOCATED = "co-located vLLM"
LOOKS = {
    COLOCATED: Look("#2b7cc0", "s"),
    "1P1D": Look("#0d9a73", "^"),
    "1P2D": Look("#b47d0a", "X"),
    "1P3D": Look("#8a63c8", "P"),
    "2P1D": Look("#d1495b", ">"),
}
SIDES = {"prefill": Look("#8a63c8", "P"), "decode": Look("#b47d0a", "X")}


def draw(results: Results) -> Figure:
    """Draw throughput per GPU, its ratio to co-located, and busy shares of both sides."""
    figure = new_figure(10.5, 6.4)
    mosaic = figure.subplot_mosaic(
        [["throughput", "throughput"], ["ratio", "busy"]], height_ratios=(1.15, 1)
    )
    throughput, ratio, busy = _panels(results)
    bars(mosaic["throughput"], throughput, "mix", "layout", LOOKS)
    mosaic["throughput"].set_title("Throughput per GPU")
    mosaic["throughput"].set_ylabel("tokens/s per GPU")
    mosaic["throughput"].yaxis.set_major_formatter("{x:,.0f}")
    explain_whiskers(mosaic["throughput"], throughput)
    _ratio_panel(mosaic["ratio"], ratio)
    _busy_panel(mosaic["busy"], busy)
    policy_legend(figure, mosaic["throughput"])
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the bars."""
    throughput, ratio, busy = _panels(results)
    parts = [as_group(throughput, "throughput"), as_group(ratio, "ratio")]
    return as_points([*parts, busy.rename(columns={"layout": "group", "side": "policy"})])


def _name(config: dict[str, Any]) -> str:
    wanted = config["disaggregated"]
    return COLOCATED if wanted is None else f"{wanted['prefill']}P{wanted['decode']}D"


def _panels(results: Results) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    table = by_layout(results, _name)
    throughput = summarise(table, ["mix", "layout"], METRIC)
    return throughput, against(table, METRIC, COLOCATED), _busy(results, table)


def _busy(results: Results, table: pd.DataFrame) -> pd.DataFrame:
    """Return the mean busy share of prefill and of decode instances, per layout."""
    ids = table.loc[table["layout"] != COLOCATED, "run_id"].tolist()
    frame = results.series("instances", ids)
    if not len(frame):
        return summarise(table.assign(side="", busy_share=None), ["layout", "side"], "busy_share")
    layouts = dict(zip(table["run_id"], table["layout"], strict=True))
    frame = frame.assign(
        layout=frame.loc[:, "run_id"].map(layouts),
        side=frame.loc[:, "decodes"].map({0.0: "prefill", 1.0: "decode"}),
    )
    keys = ["layout", "side", "run_id"]
    per_run = frame.groupby(keys, sort=False, as_index=False).agg(busy_share=("busy_share", "mean"))
    summary = summarise(per_run, ["layout", "side"], "busy_share")
    return summary.assign(panel="busy")


def _ratio_panel(axes: Axes, ratio: pd.DataFrame) -> None:
    bars(axes, ratio, "mix", "layout", LOOKS)
    axes.axhline(1.0, color=LOOKS[COLOCATED].colour, linewidth=1.6)
    names = [label.get_text().split("\n")[0] for label in axes.get_xticklabels()]
    axes.set_xticks(axes.get_xticks(), names)
    axes.set_title("Against co-located vLLM (line)")
    axes.set_ylabel("throughput per GPU, ratio")


def _busy_panel(axes: Axes, busy: pd.DataFrame) -> None:
    bars(axes, busy, "layout", "side", SIDES)
    axes.set_title("Time in which instances are busy")
    share_axis(axes, "of the makespan, all pools", least_top=1.3)
    axes.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0])
    if len(busy):
        axes.legend(loc="upper right", ncols=2, handlelength=1.2)
