"""How the dual scanner splits the memory of a GPU, in the manner of BlendServe's Fig. 6."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.figures.parts import empty_figure, new_figure, paper_marker
from experiments.figures.style import COMPUTE, INK, MEMORY
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OCCUPIED = "#7d8590"
SIDES = {"left": ("$M_L$", COMPUTE), "right": ("$M_R$", MEMORY)}
WIDTH = 0.5


def draw(results: Results) -> Figure:
    """Draw the memory as one bar, and per side the requests and the prefill budget."""
    if not len(results.table):
        return empty_figure("not run")
    figure = new_figure(9.0, 3.2)
    bar, requests, budget = figure.subplots(1, 3, width_ratios=(2.6, 1, 1))
    row, config = results.table.iloc[0], results.plan.runs[0].config
    _memory_bar(bar, results, row, config)
    for axes, name, title, label in (
        (requests, "requests", "Decoding, N", "requests"),
        (budget, "prefill_tokens", "Prefill budget, C", "tokens per step"),
    ):
        _side_bars(axes, row, name)
        axes.set_title(title)
        axes.set_ylabel(label)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return per side memory, its rounding interval, N and C, and the paper's values."""
    import pandas as pd

    printed = _printed(results)
    rows = []
    for side in SIDES if len(results.table) else ():
        row = results.table.iloc[0]
        rows.append(
            {
                "side": side,
                "memory_gb": row[f"{side}_gb"],
                "low": row[f"{side}_lowest_gb"],
                "high": row[f"{side}_highest_gb"],
                "requests": row[f"{side}_requests"],
                "prefill_tokens_per_step": row[f"{side}_prefill_tokens"],
                "paper_gb": printed.get(side),
            }
        )
    return pd.DataFrame(rows)


def _printed(results: Results) -> dict[str, float]:
    """Return side -> GB as the manifest's claims have it."""
    claims = {claim.metric: claim.paper.value for claim in results.manifest.claims}
    return {side: claims[f"{side}_gb"] for side in SIDES if f"{side}_gb" in claims}


def _memory_bar(axes: Axes, results: Results, row: Any, config: dict[str, Any]) -> None:
    """Draw the GPU's memory from 0 on, M_L's end with its rounding interval and the paper's."""
    start = float(config["occupied_gb"])
    _part(axes, 0.0, start, OCCUPIED, f"weights,\nbuffers\n{start:g} GB")
    for side, (name, colour) in SIDES.items():
        size, rho = float(row[f"{side}_gb"]), config[side]["density"]
        words = f"{name}\n{size:.2f} GB\n\N{GREEK SMALL LETTER RHO} = {rho:g}"
        _part(axes, start, size, colour, words)
        start += size
    occupied = float(config["occupied_gb"])
    end = occupied + float(row["left_gb"])
    low, high = (occupied + float(row[f"left_{bound}_gb"]) for bound in ("lowest", "highest"))
    spread = [[end - low], [high - end]]
    axes.errorbar([end], [0.33], xerr=spread, fmt="none", ecolor=INK, capsize=4)
    for claim in results.manifest.claims:
        if claim.metric == "left_gb":
            paper_marker(axes, occupied + claim.paper.value, 0.46, claim.paper.mark)
            axes.legend(loc="upper right")
    axes.set_ylim(-0.35, 0.75)
    axes.set_xlim(0, float(config["memory_gb"]))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("memory of the GPU (GB); bracket: what rounded inputs allow")
    root = config["root_density"]
    axes.set_title(f"Memory split for a pool of density {root:g}")


def _part(axes: Axes, start: float, size: float, colour: str, label: str) -> None:
    axes.barh([0.0], [size], WIDTH, left=start, color=colour, edgecolor="none")
    axes.text(start + size / 2, 0.0, label, ha="center", va="center", color="#ffffff", fontsize=9)


def _side_bars(axes: Axes, row: Any, name: str) -> None:
    heights = [float(row[f"{side}_{name}"]) for side in SIDES]
    axes.bar(range(2), heights, 0.6, color=[colour for _, colour in SIDES.values()])
    for place, height in enumerate(heights):
        axes.text(place, height, f"{height:,.1f}", ha="center", va="bottom", fontsize=9)
    axes.set_xticks(range(2), list(SIDES))
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.15)
