"""Policies side by side on one sweep: paired differences, their intervals, and who wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from experiments.claims import paired
from experiments.kinds.base import KINDS
from experiments.problems import InputError
from experiments.statistics import CONFIDENCE, Estimate, mean_interval
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Row:
    """One metric of policy `a` against policy `b`.

    Attributes:
        metric: name of the metric.
        a: policy.
        b: the policy it is compared with.
        pairs: runs of both at the same point of the sweep and with the same seed.
        diff: mean over points of the mean over seeds of `a` minus `b`, None without pairs.
        ci_low: lower end of the 95 % bootstrap interval of `diff`, None for fewer than 2 pairs.
        ci_high: upper end.
        winner: the policy with the better value; None when the interval holds 0 or is unknown,
            and for metrics of which neither more nor less is better.
    """

    metric: str
    a: str
    b: str
    pairs: int
    diff: float | None
    ci_low: float | None
    ci_high: float | None
    winner: str | None

    @property
    def differs(self) -> bool:
        """Say whether the interval is known and leaves 0 out."""
        known = self.ci_low is not None and self.ci_high is not None
        return known and not self.ci_low <= 0 <= self.ci_high  # type: ignore[operator]

    def as_json(self) -> dict[str, Any]:
        """Return the row as `compare --json` prints it."""
        return asdict(self)


def comparison(
    results: Results,
    baseline: str | None = None,
    metrics: Sequence[str] | None = None,
    policy: str | None = None,
) -> list[Row]:
    """Compare every policy, or `policy` alone, with the baseline.

    Args:
        results: the runs of one plan.
        baseline: a policy, by default the first one of the plan that is not `policy`.
        metrics: which metrics, in order; by default those of the manifest, then the others.
        policy: a policy, or None for all but the baseline.

    Raises:
        InputError: the sweep compares fewer than two policies, or a name is not in it.
    """
    policies = [
        str(name) for name in dict.fromkeys(s.config["policy"] for s in results.plan.runs) if name
    ]
    if len(policies) < 2:
        raise InputError(f"{results.manifest.id} has fewer than two policies to compare")
    base = _among(policies, baseline) if baseline else next(n for n in policies if n != policy)
    others = [_among(policies, policy)] if policy else [name for name in policies if name != base]
    if base in others:
        raise InputError(f"{base!r} against itself: name two policies")
    points = list(dict.fromkeys(name for spec in results.plan.runs for name in spec.point))
    directions = better(KINDS.get(results.manifest.kind).metrics)
    table, rows = results.table, []
    for metric in _metrics(results, metrics or ()):
        for other in others:
            pairs = _pairs(table, metric, other, base, points)
            rows.append(_row(metric, other, base, pairs, points, directions.get(metric)))
    return rows


def better(metrics: Mapping[str, str]) -> dict[str, Better]:
    """Return which direction is the better one, for metrics whose description says so."""
    found: dict[str, Better] = {}
    for name, text in metrics.items():
        for direction in ("higher", "lower"):
            if f"{direction} is better" in text.lower():
                found[name] = direction
    return found


def print_comparison(rows: Sequence[Row]) -> None:
    """Print the rows as a table on standard output."""
    from experiments.display import console

    console().print(as_table(rows))


def as_table(rows: Sequence[Row]) -> Table:
    """Return the rows for a terminal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    bases = list(dict.fromkeys(row.b for row in rows))
    table = Table(
        title=f"against b = {', '.join(bases)}",
        caption=f"mean paired difference a - b, {CONFIDENCE:.0%} bootstrap interval",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
    )
    table.add_column("metric, a", overflow="fold")
    for name in ("pairs", "a - b", "interval"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("winner", overflow="fold")
    for metric in dict.fromkeys(row.metric for row in rows):
        table.add_row(Text(metric, style="bold"))
        for row in (row for row in rows if row.metric == metric):
            diff = "" if row.diff is None else f"{row.diff:+.4g}"
            interval = "" if row.ci_low is None else f"{row.ci_low:+.3g} .. {row.ci_high:+.3g}"
            said = Text(verdict(row), style="bold" if row.winner else "dim")
            table.add_row(f"  {row.a}", str(row.pairs), diff, interval, said)
    return table


def verdict(row: Row) -> str:
    """Say in words how a row came out."""
    if row.winner is not None:
        return row.winner
    if row.differs:
        return f"{row.a if (row.diff or 0) > 0 else row.b} higher"
    if row.diff == 0 and row.ci_low is None:
        return "equal"
    return "no difference" if row.ci_low is not None else f"too few pairs ({row.pairs})"


def _among(policies: Sequence[str], name: str) -> str:
    if name not in policies:
        raise InputError(f"policy {name!r} is not in this sweep (it has: {', '.join(policies)})")
    return name


def _metrics(results: Results, wanted: Sequence[str]) -> list[str]:
    """Return the metrics to compare: numbers only."""
    table = results.table
    known = list(KINDS.get(results.manifest.kind).metrics)
    for name in wanted:
        if name not in known:
            raise InputError(f"unknown metric {name!r} (known: {', '.join(known)})")
    names = wanted or list(dict.fromkeys([*results.manifest.metrics, *known]))
    return [name for name in names if name not in table or table[name].dtype.kind in "if"]


def _pairs(table: pd.DataFrame, metric: str, a: str, b: str, points: list[str]) -> pd.DataFrame:
    import pandas as pd

    if metric not in table:
        return pd.DataFrame(columns=[*points, "seed", "a", "b"])
    pairs, _ = paired(table.loc[table[metric].notna()], metric, a, b, points)
    return pairs


def _row(
    metric: str, a: str, b: str, pairs: pd.DataFrame, points: list[str], direction: Better | None
) -> Row:
    found = _difference(pairs, points)
    if found is None:
        return Row(metric, a, b, 0, None, None, None, None)
    row = Row(metric, a, b, len(pairs), found.value, found.low, found.high, None)
    if direction is None or not row.differs:
        return row
    winner = a if (found.value > 0) == (direction == "higher") else b
    return Row(metric, a, b, len(pairs), found.value, found.low, found.high, winner)


def _difference(pairs: pd.DataFrame, points: list[str]) -> Estimate | None:
    if not len(pairs):
        return None
    pairs = pairs.assign(difference=pairs["a"].astype(float) - pairs["b"].astype(float))
    if not points:
        return mean_interval([pairs["difference"].tolist()])
    grouped = pairs.groupby(points, dropna=False, sort=False)["difference"]
    return mean_interval([values.tolist() for _, values in grouped])
