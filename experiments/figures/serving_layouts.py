"""What the figures of several GPUs share: runs by pool and layout, ratios to one layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from experiments.figures.parts import summarise
from experiments.figures.serving_mixes import mix_label
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd


def by_layout(results: Results, name_of: Callable[[dict[str, Any]], str]) -> pd.DataFrame:
    """Return the table of runs with the columns `mix` and `layout`, what `name_of` calls it."""
    mixes = {spec.id: mix_label(spec.point, spec.config) for spec in results.plan.runs}
    layouts = {spec.id: name_of(spec.config) for spec in results.plan.runs}
    ids = results.table.loc[:, "run_id"]
    return results.table.assign(mix=ids.map(mixes), layout=ids.map(layouts))


def against(table: pd.DataFrame, metric: str, base: str) -> pd.DataFrame:
    """Return the metric over that of layout `base`, same pool and seed, summarised over seeds.

    Columns: mix, layout, mean, low, high, n; `base` itself is left out.
    """
    keys = ["mix", "seed"]
    below = table.loc[table["layout"] == base, [*keys, metric]]
    above = table.loc[table["layout"] != base, [*keys, "layout", metric]]
    both = above.merge(below, on=keys, suffixes=("", "_base"))
    both = both.loc[both[f"{metric}_base"] > 0]
    ratios = both.assign(ratio=both[metric] / both[f"{metric}_base"])
    return summarise(ratios, ["mix", "layout"], "ratio")


def as_group(summary: pd.DataFrame, panel: str) -> pd.DataFrame:
    """Return bars as rows of a figure's points: the pool is the group, the layout the policy."""
    flat = summary.assign(mix=summary["mix"].str.replace("\n", " "), panel=panel)
    return flat.rename(columns={"mix": "group", "layout": "policy"})
