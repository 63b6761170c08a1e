"""What measuring only the model's first k candidates loses, over measurements that a user has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from experiments.figures.parts import bars, new_figure, summarise
from experiments.figures.style import INK, Look
from experiments.figures.tuning_parts import as_points, labelled
from experiments.kinds.tuning_gpu_pruner import FIRST
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LOOKS = {
    "geometric mean over operators": Look("#d55e00", "o"),
    "worst operator": Look("#7d8590", "v"),
    "one candidate at random": Look("#2b7cc0", "s"),
}


def draw(results: Results) -> Figure:
    """Draw the loss for each k, in per cent."""
    summary = _summary(results)
    figure = new_figure(max(6.5, 1.4 * len(set(summary["group"])) + 1.5), 3.4)
    axes = figure.subplots()
    bars(axes, summary, "group", "policy", LOOKS)
    axes.axhline(1.0, color=INK, linewidth=1.0, linestyle="dashed")
    axes.set_ylabel("lost (%)")
    axes.set_title("Only the k candidates measured that the simulator puts first")
    figure.legend(loc="outside upper left", ncols=3, handlelength=1.2)
    return figure


def points(results: Results) -> pd.DataFrame:
    """Return the bars, in per cent."""
    return as_points([_summary(results).assign(panel="lost_percent")])


def _summary(results: Results) -> pd.DataFrame:
    import pandas as pd

    table = labelled(results, file=lambda config: _short(config["file"]))
    parts = []
    for k in FIRST:
        named = table.assign(group=[f"{name}\nk = {k}" for name in table["file"]])
        for metric, policy in zip((f"regret_{k}", f"worst_{k}"), LOOKS, strict=False):
            lost = named.assign(lost=100 * (named[metric] - 1))
            parts.append(summarise(lost, ["group"], "lost").assign(policy=policy))
    drawn = table.assign(
        group=[f"{name}\nrandom" for name in table["file"]], lost=100 * (table["random"] - 1)
    )
    parts.append(summarise(drawn, ["group"], "lost").assign(policy=list(LOOKS)[-1]))
    return pd.concat(parts, ignore_index=True)


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1].removesuffix(".csv")
