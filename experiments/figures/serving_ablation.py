"""What the figures of ablations share: throughput against one variant, and sharing kept.

One row per variant, one mark per pool. A variant is a point of the sweep without the pool; the
figure of each ablation names its variants, the reference first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from experiments.figures.parts import new_figure, summarise
from experiments.figures.serving_mixes import mix_label
from experiments.figures.serving_orders import as_points, explain_whiskers, signed
from experiments.figures.style import INK, Look
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = (Look("#d55e00", "o"), Look("#2b7cc0", "s"), Look("#0d9a73", "^"), Look("#bf5f9e", "D"))
_GAP = 0.22
_LEAST_RANGE = 0.02
THROUGHPUT, SHARING = "throughput_tokens_s", "sharing_kept"


@dataclass(frozen=True)
class Ablation:
    """One ablation.

    Attributes:
        label: resolved configuration of a run -> what its variant is called.
        reference: the variant that the others are compared with.
        title: over the panel of throughput.
    """

    label: Callable[[dict[str, Any]], str]
    reference: str
    title: str


def parameters_of(config: dict[str, Any], policy: str = "blendserve") -> dict[str, Any]:
    """Return the parameters that a run gives the order; defaults are not among them."""
    return dict(config.get("parameters", {}).get(policy, {}))


def draw(results: Results, ablation: Ablation) -> Figure:
    """Draw both panels."""
    table, variants = _table(results, ablation)
    pools = dict(zip(dict.fromkeys(table["pool"]), LOOKS, strict=False))
    figure = new_figure(10.0, 1.5 + 0.42 * len(variants))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.7, 1))
    gains = _relative(table, ablation.reference)
    summary = summarise(gains, ["variant", "pool"], "ratio")
    _marks(left, summary, variants, pools)
    left.axvline(1.0, color=INK, linewidth=1)
    left.use_sticky_edges = False
    left.update_datalim([(1 - _LEAST_RANGE, 0), (1 + _LEAST_RANGE, 0)], updatey=False)
    left.margins(x=0.06)
    _percent(left, lambda x: signed(100 * (x - 1)))
    left.set_xlabel(f'throughput against "{ablation.reference}"'.replace("\n", " "))
    left.set_title(ablation.title)
    explain_whiskers(left, summary)
    kept = summarise(table, ["variant", "pool"], SHARING)
    _marks(right, kept, variants, pools)
    right.update_datalim([(1 - _LEAST_RANGE, 0), (1, 0)], updatey=False)
    right.autoscale_view(scaley=False)
    _percent(right, lambda x: f"{100 * x:.4g} %")
    right.set_xlabel("of the most possible sharing")
    right.set_title("Sharing kept")
    handles, names = left.get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside upper left", ncols=4)
    return figure


def points(results: Results, ablation: Ablation) -> pd.DataFrame:
    """Return the marks: `panel` is the metric, `group` the variant, `policy` the pool."""
    table, _ = _table(results, ablation)
    parts = [
        summarise(_relative(table, ablation.reference), ["variant", "pool"], "ratio").assign(
            panel="throughput_ratio"
        ),
        summarise(table, ["variant", "pool"], SHARING).assign(panel=SHARING),
    ]
    names = {"variant": "group", "pool": "policy"}
    return as_points([part.rename(columns=names) for part in parts])


def _table(results: Results, ablation: Ablation) -> tuple[pd.DataFrame, list[str]]:
    """Return the runs with the columns `variant` and `pool`, and the variants in plan order."""
    specs = {spec.id: spec for spec in results.plan.runs}
    variants = list(dict.fromkeys(ablation.label(spec.config) for spec in specs.values()))
    chosen = [specs[i] for i in results.table["run_id"]]
    table = results.table.assign(
        variant=[ablation.label(spec.config) for spec in chosen],
        pool=[mix_label({}, spec.config).replace("\n", ", ") for spec in chosen],
    )
    return table, variants


def _relative(table: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Return throughput over the reference's, paired by pool and seed, as the column `ratio`."""
    base = table.loc[table["variant"] == reference, ["pool", "seed", THROUGHPUT]]
    merged = table.merge(base, on=["pool", "seed"], suffixes=("", "_base"))
    return merged.assign(ratio=merged[THROUGHPUT] / merged[f"{THROUGHPUT}_base"])


def _marks(
    axes: Axes, summary: pd.DataFrame, variants: Sequence[str], pools: dict[str, Look]
) -> None:
    """Draw a mark with its interval per row of `summary`, variants from the top."""
    shift = _GAP * (len(pools) - 1) / 2
    for place, (pool, own) in enumerate(pools.items()):
        rows = summary.loc[summary["pool"] == pool]
        at = [variants.index(v) - shift + _GAP * place for v in rows["variant"]]
        mean = rows["mean"].to_numpy(float)
        low, high = rows["low"].fillna(rows["mean"]), rows["high"].fillna(rows["mean"])
        spread = [(mean - low).clip(lower=0), (high - mean).clip(lower=0)]
        axes.errorbar(
            mean,
            at,
            xerr=spread,
            fmt=own.marker,
            color=own.colour,
            markersize=5.5,
            elinewidth=1.2,
            capsize=2.5,
            label=pool,
        )
    axes.set_yticks(range(len(variants)), list(variants))
    axes.set_ylim(len(variants) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=INK, alpha=0.12, linewidth=0.6)


def _percent(axes: Axes, words: Callable[[float], str]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: words(x)))
