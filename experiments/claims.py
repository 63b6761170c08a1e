"""Claims checked: the paper's value, ours with its interval, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from experiments.axes import Point
from experiments.doctor import CAPABILITY_NAMES
from experiments.manifest import Claim, Manifest, Statistic
from experiments.statistics import (
    CONFIDENCE,
    Estimate,
    geometric_mean_interval,
    mean_interval,
)
from experiments.tables import Results

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["reproduced", "deviates", "unconfirmed", "needs_hardware", "not_run"]


@dataclass(frozen=True)
class Check:
    """One claim against the runs at one size.

    Attributes:
        missing_needs: what keeps runs from starting: names of capabilities that the machine lacks,
            and messages on files that are absent, each with its remedy.
    """

    manifest: Manifest
    claim: Claim
    size: str
    verdict: Verdict
    estimate: Estimate | None
    run_ids: tuple[str, ...]
    stale: bool
    missing_needs: tuple[str, ...] = ()
    origin: str = "simulated"

    def sentence(self) -> str:
        """Say it as one line: `paper 1.21x (printed); here 1.19x [1.17, 1.21]: reproduced`."""
        claim, found = self.claim, self.estimate
        paper = f"paper {show_paper(claim)}"
        if found is None:
            absent = [need for need in self.missing_needs if need not in CAPABILITY_NAMES]
            why = f", for these are not there: {'; '.join(absent)}" if absent else ""
            return f"{paper}; {self.verdict.replace('_', ' ')}{why}"
        interval = _interval(found, claim.unit)
        here = f"here {show(found.value, claim.unit)}{interval}, {self.origin}"
        return f"{paper}; {here}, n={found.n}: {self.verdict.replace('_', ' ')}"

    def as_json(self) -> dict[str, Any]:
        """Return the claim as `claims --json` prints it."""
        claim, found, manifest = self.claim, self.estimate, self.manifest
        return {
            "id": f"{manifest.id}#{claim.id}",
            "experiment": manifest.id,
            "panel": manifest.panel,
            "artefact": manifest.artefact,
            "statement": claim.statement,
            "metric": claim.metric,
            "unit": claim.unit,
            "paper_value": claim.paper.value,
            "paper_mark": claim.paper.mark,
            "tolerance": {"kind": claim.tolerance.kind, "value": claim.tolerance.value},
            "size": self.size,
            "origin": self.origin,
            "value": found and found.value,
            "ci_low": found and found.low,
            "ci_high": found and found.high,
            "confidence": CONFIDENCE,
            "n": found.n if found else 0,
            "verdict": self.verdict,
            "stale": self.stale,
            "needs": list(manifest.needs),
            "run_ids": list(self.run_ids),
            "note": claim.note,
        }


def show(value: float, unit: str) -> str:
    """Return a value with its unit: ratios as `1.21x`, shares as `86.5 %`, else plain."""
    if unit == "ratio":
        return f"{value:.3g}x"
    if unit == "share":
        return f"{100 * value:.4g} %"
    return f"{value:.4g} {unit}"


def show_paper(claim: Claim) -> str:
    """Return the paper's value with its mark: `1.21x (printed)`, `< 1x (printed)` for a bound."""
    paper = claim.paper
    sign = {None: "", "below": "< ", "above": "> "}[paper.bound]
    return f"{sign}{show(paper.value, claim.unit)} ({paper.mark})"


def _interval(found: Estimate, unit: str) -> str:
    """Return ` [low, high]`, in the unit's own numbers (per cent for shares), or nothing."""
    if found.low is None or found.high is None:
        return ""
    if unit == "share":
        return f" [{100 * found.low:.4g}, {100 * found.high:.4g}]"
    return f" [{found.low:.4g}, {found.high:.4g}]"


def check_claims(results: Results, missing_needs: tuple[str, ...] = ()) -> list[Check]:
    """Check every claim of an experiment against its finished runs."""
    return [_check(results, claim, missing_needs) for claim in results.manifest.claims]


def verdict_of(claim: Claim, estimate: Estimate) -> Verdict:
    """Return the verdict on a computed value.

    `reproduced`: the interval meets paper +- tolerance and its half-width is at most the
    tolerance. `deviates`: it does not meet it. `unconfirmed`: the paper's value is only
    remembered, or the interval meets it but is too wide to tell (one repetition has none).
    Where the paper gives a bound, everything on its side meets it, and an interval is too wide
    if it reaches over the bound by more than the tolerance.
    """
    if claim.paper.mark == "remembered":
        return "unconfirmed"
    bound, band = claim.paper.bound, claim.tolerance.half_width(claim.paper.value)
    low = estimate.value if estimate.low is None else estimate.low
    high = estimate.value if estimate.high is None else estimate.high
    too_high = bound != "above" and low > claim.paper.value + band
    too_low = bound != "below" and high < claim.paper.value - band
    if too_high or too_low:
        return "deviates"
    if bound is None:
        sure = (high - low) / 2 <= band
    else:
        below, above = high <= claim.paper.value + band, low >= claim.paper.value - band
        sure = below if bound == "below" else above
    return "reproduced" if sure and estimate.half_width is not None else "unconfirmed"


def _check(results: Results, claim: Claim, missing_needs: tuple[str, ...]) -> Check:
    table = _selected(results, claim.statistic.where)
    if claim.statistic.kind == "scaling":
        groups, run_ids = _scaled(results, table, claim)
    else:
        groups, run_ids = _groups(table, claim, _point_columns(results))
    estimate = _estimate(groups, claim.statistic) if groups else None
    if estimate is not None and claim.statistic.interval == "own":
        estimate = _with_own(estimate, table, claim, _point_columns(results))
    if estimate is not None:
        verdict = verdict_of(claim, estimate)
    else:
        hardware = any(need in CAPABILITY_NAMES for need in missing_needs)
        verdict = "needs_hardware" if hardware else "not_run"
    stale = bool(set(run_ids) & set(results.stale))
    size, origin = results.plan.size, results.origin
    found = (verdict, estimate, run_ids, stale, missing_needs, origin)
    return Check(results.manifest, claim, size, *found)


def _point_columns(results: Results) -> list[str]:
    return list(dict.fromkeys(name for spec in results.plan.runs for name in spec.point))


def _selected(results: Results, where: Point) -> pd.DataFrame:
    """Return the rows of the runs that `where` keeps."""
    keep = {s.id for s in results.plan.runs if holds(s.point, s.config, where)}
    table = results.table
    return table.loc[table["run_id"].isin(list(keep))] if len(table) else table


def holds(point: Point, config: dict[str, Any], where: Point) -> bool:
    """Say whether a run's axis values, or else its configuration, are as `where` says."""
    return all(_value(point, config, name) == value for name, value in where.items())


def _value(point: Point, config: dict[str, Any], name: str) -> Any:
    if name in point:
        return point[name]
    place: Any = config
    for part in name.split("."):
        place = place.get(part) if isinstance(place, dict) else None
    return place


def _groups(
    table: pd.DataFrame, claim: Claim, columns: list[str]
) -> tuple[list[list[float]], tuple[str, ...]]:
    """Return, per point of the sweep, the values (or paired ratios) over seeds."""
    if not len(table) or claim.metric not in table:
        return [], ()
    table = table.loc[table[claim.metric].notna()]
    statistic = claim.statistic
    if statistic.kind in ("mean", "geomean", "min", "max"):
        chosen = statistic.policy
        rows = table if chosen is None else table.loc[table["policy"] == chosen]
        values = rows.loc[:, claim.metric]
        ids = tuple(rows["run_id"])
    else:
        rows, ids = paired(table, claim.metric, str(statistic.policy), str(statistic.over), columns)
        rows = rows.loc[rows["b"] != 0]
        values = rows.loc[:, "a"] / rows.loc[:, "b"]
    return _by_point(rows, values, columns), ids


def _by_point(rows: pd.DataFrame, values: pd.Series, columns: list[str]) -> list[list[float]]:
    """Return the values over seeds per point of the sweep."""
    if not columns:
        groups = [values.tolist()]
    else:
        by_point = [rows[name] for name in columns]
        groups = [g.tolist() for _, g in values.groupby(by_point, dropna=False, sort=False)]
    return [g for g in groups if g]


def _scaled(
    results: Results, table: pd.DataFrame, claim: Claim
) -> tuple[list[list[float]], tuple[str, ...]]:
    """Return the policy's own ratios between two values of some axes, per point of the others."""
    statistic, metric = claim.statistic, claim.metric
    below = _selected(results, statistic.where | statistic.over_where)
    if not len(table) or not len(below) or metric not in table:
        return [], ()
    columns = [name for name in _point_columns(results) if name not in statistic.over_where]
    keys = [*columns, "seed"]
    one, two = (
        part.loc[(part["policy"] == statistic.policy) & part[metric].notna()]
        for part in (table, below)
    )
    wanted = [*keys, "run_id", metric]
    rows = one.loc[:, wanted].merge(two.loc[:, wanted], on=keys, suffixes=("_a", "_b"))
    rows = rows.loc[rows[f"{metric}_b"] != 0]
    ids = tuple(dict.fromkeys((*rows["run_id_a"], *rows["run_id_b"])))
    return _by_point(rows, rows[f"{metric}_a"] / rows[f"{metric}_b"], columns), ids


def paired(
    table: pd.DataFrame, metric: str, policy: str, over: str, columns: list[str]
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the runs of two policies side by side: same point, same seed, so the same luck.

    Columns: the point's, `seed`, `a` (metric of `policy`), `b` (metric of `over`).
    """
    keys = [*columns, "seed"]
    one = table.loc[table["policy"] == policy, [*keys, "run_id", metric]]
    two = table.loc[table["policy"] == over, [*keys, "run_id", metric]]
    both = one.merge(two, on=keys, suffixes=("_a", "_b"))
    ids = (*both["run_id_a"], *both["run_id_b"])
    return both.rename(columns={f"{metric}_a": "a", f"{metric}_b": "b"}), ids


def _estimate(groups: list[list[float]], statistic: Statistic) -> Estimate | None:
    if statistic.kind == "geomean":
        return geometric_mean_interval(groups)
    estimates = [mean_interval([group]) for group in groups]
    if statistic.kind in ("max", "max_ratio"):
        return max(estimates, key=lambda e: e.value)
    if statistic.kind in ("min", "min_ratio"):
        return min(estimates, key=lambda e: e.value)
    return mean_interval(groups)


def _with_own(found: Estimate, table: pd.DataFrame, claim: Claim, columns: list[str]) -> Estimate:
    """Return an extreme with the extremes of its ends, None where runs did not measure any."""
    ends: list[float | None] = []
    for end in ("low", "high"):
        metric = claim.model_copy(update={"metric": f"{claim.metric}_{end}"})
        groups, _ = _groups(table, metric, columns)
        one = _estimate(groups, claim.statistic) if groups else None
        ends.append(None if one is None else one.value)
    low, high = ends
    return Estimate(found.value, low, high, found.n)
