"""Predicted times of a layer beside Table 1, and what wave quantisation does to the GEMMs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import bars, new_figure, paper_marker, summarise
from experiments.figures.style import COMPUTE, INK, MEMORY, Look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = {"gemm": ("GEMMs", COMPUTE), "attention": ("Decode attention", MEMORY)}
SHEET = Look("#9aa1a9", "v")
# Table 1, "estimated": the paper's own model of the same cells (ms).
ESTIMATED = {
    "gemm": {512: 1.038, 768: 1.494, 1024: 1.916},
    "attention": {512: 1.239, 768: 1.859, 1024: 2.478},
}


def draw(results: Results) -> Figure:
    """Draw both operators by batch, and the GEMMs' time per token over the batch."""
    figure = new_figure(11.5, 3.9)
    mosaic = figure.subplot_mosaic([[*PARTS, "waves"]], width_ratios=(1, 1, 1.15))
    for part in PARTS:
        _bars(mosaic[part], results, part)
    mosaic["gemm"].set_ylabel("ms per layer")
    _waves(mosaic["waves"], results)
    handles, labels = mosaic["gemm"].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the bars."""
    import pandas as pd

    return pd.concat([_summary(results, part).assign(operator=part) for part in PARTS])


def real(results: Results, part: str) -> dict[int, float]:
    """Return batch -> ms that the paper measured, from the manifest's claims."""
    return {
        int(claim.statistic.where["batch"]): claim.paper.value
        for claim in results.manifest.claims
        if claim.metric == f"{part}_ms" and "batch" in claim.statistic.where
    }


def _bars(axes: Axes, results: Results, part: str) -> None:
    title, colour = PARTS[part]
    looks = {"here": Look(colour, "o"), "data sheet": SHEET}
    places = bars(axes, _summary(results, part), "batch", "kind", looks)
    for batch, x in places.items():
        if batch in ESTIMATED[part]:
            estimated = ESTIMATED[part][batch]
            style = {"color": INK, "linewidth": 1.6, "linestyle": (0, (2, 1))}
            label = "paper's estimate (printed)" if batch == min(places) else "_nolegend_"
            axes.plot([x - 0.4, x + 0.4], [estimated, estimated], label=label, **style)
        if batch in (measured := real(results, part)):
            paper_marker(axes, x - 0.2, measured[batch])
            here = _here(results, part, batch)
            error = here / measured[batch] - 1.0
            axes.annotate(
                f"{100 * error:+.1f} %",
                (x - 0.2, max(measured[batch], here)),
                (0, 9),
                textcoords="offset points",
                ha="center",
                fontsize=8.5,
            )
    axes.set_title(f"{title} of a layer")
    axes.set_xlabel("decoding requests, 1,024 tokens each")
    axes.margins(y=0.12)


def _here(results: Results, part: str, batch: int) -> float:
    rows = _summary(results, part)
    return float(rows.loc[(rows["batch"] == batch) & (rows["kind"] == "here"), "mean"].iloc[0])


def _summary(results: Results, part: str) -> pd.DataFrame:
    import pandas as pd

    table = results.table
    frames = [
        pd.DataFrame({"batch": table["batch"], "kind": kind, "ms": table[column]})
        for kind, column in (("here", f"{part}_ms"), ("data sheet", f"{part}_peak_ms"))
    ]
    return summarise(pd.concat(frames), ["batch", "kind"], "ms")


def _waves(axes: Axes, results: Results) -> None:
    frame = results.series("by_tokens", results.run_ids[:1])
    frame = frame.loc[frame["tokens"] >= 128]
    axes.plot(frame["tokens"], 1e3 * frame["gemm_ms"] / frame["tokens"], color=COMPUTE)
    axes.plot(frame["tokens"], 1e3 * frame["peak_ms"] / frame["tokens"], color=SHEET.colour)
    for batch, measured in real(results, "gemm").items():
        paper_marker(axes, batch, 1e3 * measured / batch)
    axes.set_ylim(bottom=0)
    axes.set_title("GEMMs per token: waves on 108 SMs")
    axes.set_xlabel("tokens in the batch")
    axes.set_ylabel("µs per token and layer")
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
