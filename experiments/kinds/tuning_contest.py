"""The work of `tuning-operator`: tune by the search that is asked for, then hold the contest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from experiments.kinds.base import Outcome, Scalar
from experiments.kinds.tuning_bench import SPENT, Bench, bench
from experiments.kinds.tuning_operator import METASCHEDULE, TuningOperatorConfig, metrics_of
from policies.search.base import SEARCHES
from tuning.operators import Operator
from tuning.rivals import Entrant, Timing, contest

if TYPE_CHECKING:
    from tuning.metaschedule import MetaTuned

Curve = list[tuple[float, float]]


def outcome(config: TuningOperatorConfig, policy: str, seed: int) -> Outcome:
    """Return the outcome of one run."""
    operator = config.operator.operator()
    search = SEARCHES.get(policy)
    notes: list[str] = []
    told: dict[str, Scalar] = {}
    curves: dict[str, Curve] = {}
    entrants: list[Entrant] = []
    by_templates = search.engine != METASCHEDULE
    with bench(config, policy, seed) as place:
        if by_templates:
            entrants.append(_ours(place, operator, notes, curves))
            told |= place.spent()
        trials = config.rival_trials if by_templates else config.budget().trials
        if trials:
            budget_s = config.rival_budget_s if by_templates else config.budget_s
            rival = _metaschedule(operator, trials, budget_s, config.threads, place)
            curves[METASCHEDULE] = rival.history
            if rival.library is not None:
                name = METASCHEDULE if by_templates else "ours"
                entrants.append(Entrant.tvm(rival.library, name))
            told |= _told_of(rival) if by_templates else _spent_by(rival)
            told["metaschedule_cut"] = int(rival.status == "timeout")
            notes.append(said_of(rival, trials, budget_s))
        entrants += [Entrant.vendor(name) for name in config.vendors]
        timings = contest(operator, entrants, place.settings)
    for timing in timings.values():
        told_of = [timing.status if not timing.ok else "", timing.message, timing.notes]
        notes.append(f"{timing.name}: {'; '.join(filter(None, [*told_of, timing.version]))}")
    metrics = metrics_of(timings, operator.flops, told)
    return Outcome(metrics, {"curve": _columns(curves), "timings": _rows(timings)}, notes)


def _ours(place: Bench, operator: Operator, notes: list[str], curves: dict[str, Curve]) -> Entrant:
    """Tune by templates; return the winner as it enters the contest."""
    tuned = place.tune(operator)
    notes.append(f"best: {tuned.best.candidate.text()}")
    curves["templates"] = list(tuned.history)
    path = place.object_of(operator, tuned.best)
    return Entrant.templates(path, tuned.best.candidate)


def _metaschedule(
    operator: Operator, trials: int, budget_s: float, threads: int, place: Bench
) -> MetaTuned:
    from tuning.metaschedule import tune_metaschedule

    folder = place.folder / METASCHEDULE
    return tune_metaschedule(operator, trials, threads, budget_s, folder, place.seed)


def _told_of(rival: MetaTuned) -> dict[str, Scalar]:
    return {
        "metaschedule_s": rival.seconds,
        "metaschedule_trials": rival.trials,
        "metaschedule_failed": rival.build_errors + rival.run_errors,
    }


def said_of(rival: MetaTuned, trials: int, budget_s: float) -> str:
    """Return the note on MetaSchedule's tuning."""
    cut = f"cut off after {budget_s:g} s with {rival.trials} of {trials} trials per function"
    ended = cut if rival.status == "timeout" else rival.status
    said = filter(None, [ended, f"cost model {rival.cost_model}", rival.message])
    return f"MetaSchedule: {'; '.join(said)}"


def _spent_by(rival: MetaTuned) -> dict[str, Scalar]:
    """Return the metrics of `SPENT`; MetaSchedule does not tell compiling and measuring apart."""
    nothing: dict[str, Scalar] = dict.fromkeys(SPENT)
    failed = rival.build_errors + rival.run_errors
    return nothing | {"trials": rival.trials, "failed": failed, "tune_s": rival.seconds}


def _columns(curves: dict[str, Curve]) -> dict[str, list[Any]]:
    """Return the table `curve`: the best time so far (ns) after so many seconds, per engine."""
    rows = [(engine, s, ns) for engine, curve in curves.items() for s, ns in curve]
    return {
        "engine": [engine for engine, _, _ in rows],
        "seconds": [float(s) for _, s, _ in rows],
        "best_ns": [float(ns) for _, _, ns in rows],
    }


def _rows(timings: dict[str, Timing]) -> dict[str, list[Any]]:
    """Return the table `timings`: median and quartiles (ns) of each entrant."""
    return {
        "entrant": [t.name for t in timings.values()],
        "median_ns": [t.median_ns for t in timings.values()],
        "low_ns": [t.low_ns for t in timings.values()],
        "high_ns": [t.high_ns for t in timings.values()],
        "status": [t.status for t in timings.values()],
    }
