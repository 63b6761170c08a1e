"""What the paper size of every experiment takes, from recorded runs or else from its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.catalog import entries
from experiments.kinds.base import KINDS
from experiments.pages.known import Known
from experiments.pages.tables import heading, number, table

HERE, MANY = 2, 64
"""Cores of the machine that sizes are measured on, and of a larger one or a cluster."""

INTRODUCTION = f"""\
Hours that all runs of an experiment take at size `paper`. *Measured*: the recorded runs are of that
size, and this is the sum of their times. *Projected*: the sum of the recorded runs' times at a
smaller size, times what the manifest's `seconds` of both sizes differ by. *Manifest*: nothing is
recorded; it is what the manifest says. Runs that time their machine have it to themselves, one
after the other, so that more cores do not help. All others use one core each: a cluster of {MANY}
cores takes {MANY // HERE} times less than a machine of {HERE}. Emulated cells wait for real time
mostly; they were recorded several at a time, each slower for that, and sessions side by side share
them. Where you rent, the cost is core
hours times the price of one; hours of a machine of its own count with all its cores.
"""


@dataclass(frozen=True)
class Cost:
    """What one experiment takes at size `paper`.

    Attributes:
        runs: how many.
        hours: of a core, or of the whole machine if `alone`.
        alone: whether its runs have the machine to themselves.
        basis: `measured`, `projected` or `manifest`.
    """

    runs: int
    hours: float
    alone: bool
    basis: str

    def on(self, cores: int) -> float:
        """Return hours on so many cores."""
        return self.hours if self.alone else self.hours / cores

    @property
    def core_hours(self) -> float:
        """Hours of a core, those of a whole machine with all its cores."""
        return self.hours * HERE if self.alone else self.hours


def cost_of(one: Known, runs: int) -> Cost:
    """Return what an experiment takes at size `paper`, where it has so many runs."""
    manifest = one.manifest
    alone = bool(getattr(KINDS.get(manifest.kind), "exclusive", False))
    seconds = {size: manifest.size(size).seconds for size in ("quick", "standard", "paper")}
    if one.record is None:
        hours = seconds["paper"] / 3600 * (1 if alone else HERE)
        return Cost(runs, hours, alone, "manifest")
    size = one.record.plan.size
    measured_s = sum(float(run["wall_s"]) for run in one.record.provenance())
    hours = measured_s / 3600 * seconds["paper"] / seconds[size]
    return Cost(runs, hours, alone, "measured" if size == "paper" else "projected")


def page(known: Mapping[str, Known]) -> str:
    """Return the page."""
    counts = {entry.id: len(entry.runs["paper"]) for entry in entries()}
    costs = {name: cost_of(one, counts[name]) for name, one in known.items()}
    rows = [(f"`{name}`", *_row(cost), cost.basis) for name, cost in costs.items()]
    total = (
        "**all**",
        number(sum(cost.runs for cost in costs.values())),
        *(_hours(sum(cost.on(cores) for cost in costs.values())) for cores in (HERE, MANY)),
        _hours(sum(cost.core_hours for cost in costs.values())),
        "",
    )
    head = ("experiment", "runs", f"h on {HERE} cores", f"h on {MANY}", "core hours", "from")
    title = heading(1, "Cost of the paper size")
    return "\n".join([*title, INTRODUCTION, *table(head, [*rows, total])])


def _row(cost: Cost) -> list[str]:
    hours = (cost.on(HERE), cost.on(MANY), cost.core_hours)
    return [number(cost.runs), *map(_hours, hours)]


def _hours(value: float) -> str:
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"
