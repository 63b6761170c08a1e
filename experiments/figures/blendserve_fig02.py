"""Densities and sharing of sources and traces, after Fig. 2 and Table 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.parts import new_figure, paper_marker, summarise
from experiments.figures.serving_orders import as_points
from experiments.figures.serving_paper import DENSITY, MARK, SHARING
from experiments.figures.style import COMPUTE, INK, MEMORY
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Metric -> what it is, colour, marker.
DENSITIES = {
    "density_unshared": ("sum of T_comp / sum of T_mem", COMPUTE, "o"),
    "density": ("the same with (1 \N{MINUS SIGN} s)", MEMORY, "s"),
    "density_of_means": ("of a request of mean lengths", "#2b7cc0", "|"),
}
SHARE = "sharing_compute"
NAMES = {
    "burstgpt": "BurstGPT, generated",
    "azure": "Azure, generated",
    "sharegpt": "ShareGPT, generated",
    "wildchat": "WildChat, generated",
    "mmlu": "MMLU, generated",
    "openvid-raw": "OpenVid, generated",
    "openvid": "OpenVid at 16K, generated",
    "azure-code-2023": "Azure 2023 code, real",
    "sharegpt-300": "ShareGPT (300), real",
    "arxiv-summarisation": "arXiv summaries, real",
    "mooncake-conversation": "Mooncake conversation, real",
    "burstgpt-1": "BurstGPT 1, real",
    "reason-deepseek-r1": "DeepSeek-R1, real distributions",
}


def draw(results: Results) -> Figure:
    """Draw densities on a logarithmic axis, and sharing beside."""
    table = _table(results)
    names = list(dict.fromkeys(table["pool"]))
    heights = {name: -float(place) for place, name in enumerate(names)}
    figure = new_figure(10.5, 1.6 + 0.34 * len(names))
    densities, sharing = figure.subplots(1, 2, sharey=True, width_ratios=(2.2, 1))
    _densities(densities, table, heights)
    _sharing(sharing, table, heights)
    for axes in (densities, sharing):
        axes.set_yticks([*heights.values()], [NAMES.get(name, name) for name in heights])
        axes.tick_params(axis="y", length=0)
        axes.grid(color=INK, alpha=0.12, linewidth=0.6)
    figure.legend(
        *densities.get_legend_handles_labels(), loc="outside upper left", ncols=4, handlelength=1.2
    )
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return what is drawn, and the paper's values."""
    import pandas as pd

    table = _table(results)
    parts = [
        summarise(table, ["pool"], metric).assign(panel=metric, policy="")
        for metric in (*DENSITIES, SHARE)
        if metric in table
    ]
    for panel, printed in (("density", DENSITY), (SHARE, SHARING)):
        rows = [{"pool": name, "mean": value} for name, value in printed.items()]
        parts.append(pd.DataFrame(rows).assign(panel=panel, policy=f"paper ({MARK})"))
    return as_points([part.rename(columns={"pool": "group"}) for part in parts])


def _table(results: Results) -> pd.DataFrame:
    """Return the runs with the column `pool`, the name of the source, trace or clients."""
    names = {spec.id: _name(spec.config) for spec in results.plan.runs}
    return results.table.assign(pool=results.table.loc[:, "run_id"].map(names))


def _name(config: dict[str, Any]) -> str:
    workload = config["workload"]
    return str(workload.get("name", workload["kind"]))


def _densities(axes: Axes, table: pd.DataFrame, heights: dict[str, float]) -> None:
    for metric, (label, colour, marker) in DENSITIES.items():
        rows = summarise(table, ["pool"], metric)
        at = [heights[name] for name in rows["pool"]]
        size = 15 if marker == "|" else 6
        look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": size}
        axes.plot(rows["mean"], at, linestyle="none", markeredgewidth=1.6, label=label, **look)
    for name, value in DENSITY.items():
        if name in heights:
            paper_marker(axes, value, heights[name], MARK)
    absent = set(heights) - set(summarise(table, ["pool"], "density")["pool"])
    for name in absent:
        axes.text(0.02, heights[name], "not here", transform=axes.get_yaxis_transform())
    axes.set_xscale("log")
    axes.axvline(1, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
    top = max(heights.values(), default=0.0) + 0.55
    said = {"fontsize": 8.5, "va": "bottom", "alpha": 0.75}
    axes.text(0.93, top, "memory-heavy", ha="right", **said)
    axes.text(1.08, top, "compute-heavy", ha="left", **said)
    axes.set_ylim(min(heights.values(), default=0.0) - 0.6, top)
    axes.set_title("Density, Llama-3-8B on an A100 at data-sheet rates", pad=18)
    words = "generated: spread of lengths chosen for the printed value"
    axes.set_xlabel(f"T_comp / T_mem ({words})")


def _sharing(axes: Axes, table: pd.DataFrame, heights: dict[str, float]) -> None:
    from matplotlib.ticker import PercentFormatter

    rows = summarise(table, ["pool"], SHARE)
    at = [heights[name] for name in rows["pool"]]
    axes.barh(at, rows["mean"], 0.55, color=COMPUTE)
    for name, value in SHARING.items():
        if name in heights:
            paper_marker(axes, value, heights[name], MARK)
    axes.set_xlim(-0.03, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_title("Prefix sharing", pad=18)
    axes.set_xlabel("share of T_comp that sharing saves")
