"""Throughput of variants of a network, measured, beside the accuracy that the paper reports.

Runs of variants are minutes apart; ratios between them are of `speedup_over_base`, whose yardstick
was timed in turn with each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from experiments.figures.parts import bars, new_figure, summarise
from experiments.figures.style import INK, Look
from experiments.figures.tuning_paper import MARK, Variant
from experiments.figures.tuning_parts import ENTRANTS, OURS, as_points, labelled
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EAGER = "PyTorch, eager"
COLUMNS = {OURS: "images_s", EAGER: "eager_images_s"}
LOOKS = {OURS: ENTRANTS[OURS], EAGER: ENTRANTS["torch"]}
PAPER = f"paper ({MARK})"
CITED = Look("#8a63c8", "P")


def draw_variants(results: Results, paper: Mapping[Variant, tuple[float, float]]) -> Figure:
    """Draw images/s, speed over the first variant of each network, and what accuracy is cited."""
    summary, relative = _throughput(results), _relative(results, paper)
    count = len(set(summary["group"]))
    figure = new_figure(min(max(10.5, 2.2 * count + 2), 13.5), 3.8)
    throughput, cost, *rest = figure.subplots(1, 3 if paper else 2)
    bars(throughput, summary, "group", "policy", LOOKS)
    throughput.set_title("Throughput")
    throughput.set_ylabel("images/s")
    _cost(cost, relative)
    for accuracy in rest:
        _accuracy(accuracy, results, paper)
    handles: dict[str, Any] = {}
    for axes in (throughput, cost):
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(
        list(handles.values()), list(handles), loc="outside upper left", ncols=4, handlelength=1.2
    )
    return figure


def variant_points(results: Results, paper: Mapping[Variant, tuple[float, float]]) -> pd.DataFrame:
    """Return the bars, and what is cited."""
    import pandas as pd

    known = _known(results, paper)
    cited = [
        {"panel": "accuracy", "group": _name(variant), "policy": PAPER, "mean": paper[variant][0]}
        for variant in known
    ]
    throughput = _throughput(results).assign(panel="throughput")
    relative = _relative(results, paper).assign(panel="relative")
    return as_points([throughput, relative, pd.DataFrame(cited)])


def variant_of(config: Mapping[str, Any]) -> Variant:
    """Return which variant a run is of."""
    return config["model"], config["activation"], config["deepen"]


def _name(variant: Variant) -> str:
    model, activation, deepened = variant
    short = model.removeprefix("repvgg_").upper()
    return f"{short} {activation}" + ("\n+ 1x1" if deepened else "")


def _name_of(config: Mapping[str, Any]) -> str:
    """Return the variant's name, and where channels are its own, what they are and are not."""
    name = _name(variant_of(config))
    if not config["widths"]:
        return name
    aligned = f"multiples of {config['align']}" if config["align"] > 1 else "unaligned"
    return f"{name}\n{aligned}" + (", padded\nwhere faster" if config["padding"] else "")


def _table(results: Results) -> pd.DataFrame:
    return labelled(
        results,
        group=_name_of,
        network=lambda config: config["model"],
    )


def _throughput(results: Results) -> pd.DataFrame:
    import pandas as pd

    table = _table(results)
    parts = [
        summarise(table, ["group"], column).assign(policy=name) for name, column in COLUMNS.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _relative(results: Results, paper: Mapping[Variant, tuple[float, float]]) -> pd.DataFrame:
    """Return speed over the network's first variant, ours pair by pair, and the paper's."""
    import pandas as pd

    table, known = _table(results), _known(results, paper)
    parts = []
    for network, own in table.groupby("network", sort=False):
        first = own.loc[own["group"] == own["group"].iloc[0], ["seed", "speedup_over_base"]]
        pairs = own.merge(first, on="seed", suffixes=("", "_first"))
        speed, of_first = pairs["speedup_over_base"], pairs["speedup_over_base_first"]
        pairs = pairs.assign(ratio=speed / of_first)
        parts.append(summarise(pairs, ["group"], "ratio").assign(policy=OURS))
        variants = [v for v in known if v[0] == network]
        rows = [
            {"group": _name(v), "mean": paper[v][1] / paper[variants[0]][1], "policy": PAPER}
            for v in variants
        ]
        parts.append(pd.DataFrame(rows, columns=["group", "mean", "policy", "low", "high"]))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _known(results: Results, paper: Mapping[Variant, tuple[float, float]]) -> list[Variant]:
    """Return the variants that ran and that the paper has, in the plan's order."""
    done = set(results.run_ids)
    found = dict.fromkeys(variant_of(s.config) for s in results.plan.runs if s.id in done)
    return [variant for variant in found if variant in paper]


def _cost(axes: Axes, relative: pd.DataFrame) -> None:
    bars(axes, relative, "group", "policy", {OURS: ENTRANTS[OURS], PAPER: CITED})
    axes.axhline(1.0, color=INK, linewidth=1.0)
    axes.yaxis.set_major_formatter("{x:g}x")
    axes.set_title("Against the network's first variant")
    axes.set_ylabel("throughput, ratio")


def _accuracy(axes: Axes, results: Results, paper: Mapping[Variant, tuple[float, float]]) -> None:
    known = _known(results, paper)
    heights = [paper[variant][0] for variant in known]
    axes.plot(range(len(known)), heights, linestyle="none", marker="D", color=CITED.colour)
    axes.set_xticks(range(len(known)), [_name(variant) for variant in known])
    axes.tick_params(axis="x", length=0)
    axes.margins(x=0.2, y=0.2)
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
    axes.set_title("Accuracy: cited, not measured")
    axes.set_ylabel(f"top-1 accuracy (%), {PAPER}")
