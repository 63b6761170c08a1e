"""The main job: compute what is missing of some experiments, export, draw, check the claims."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from experiments.claims import Check, check_claims
from experiments.doctor import CAPABILITY_NAMES, capabilities
from experiments.executors.base import Executor
from experiments.figures.drawing import Drawing
from experiments.figures.render import Rendered
from experiments.identity import RunSpec
from experiments.kinds.base import KINDS
from experiments.paths import build_root
from experiments.plan import Plan
from experiments.problems import InputError
from experiments.progress import Progress, duration
from experiments.session import Tally, compute, is_exclusive, missing
from experiments.store import Store
from experiments.tables import Results, collect, export


@dataclass(frozen=True)
class Options:
    """How runs are computed."""

    workers: int | None = None
    serial: bool = False
    cluster: str | None = None
    refresh: bool = False
    plugins: tuple[Path, ...] = ()
    only: str | None = None


@dataclass
class Outcome:
    """What became of one experiment."""

    results: Results
    tally: Tally
    checks: list[Check]
    lacks: tuple[str, ...]
    figure: Future[Rendered] | None

    @property
    def trouble(self) -> str:
        """Why there is no figure of its runs, "" if there is one; waits until it is drawn."""
        return "" if self.figure is None else self.figure.result().problem


def lacks_of(plan: Plan) -> tuple[str, ...]:
    """Return the capabilities and data that the experiment needs and this machine lacks."""
    kind = KINDS.get(plan.manifest.kind)
    needs, data = {*plan.manifest.needs, *kind.needs}, ()
    if hasattr(kind, "lacks"):
        data = dict.fromkeys(text for spec in plan.runs for text in kind.lacks(spec.config))
    if not needs:
        return tuple(data)
    present = {c.name for c in capabilities() if c.present}
    return (*sorted(needs - present), *data)


def todo_of(plan: Plan, store: Store, options: Options) -> tuple[list[RunSpec], Tally]:
    """Return the runs of a plan to compute now, and the tally of the others."""
    runs = plan.runs
    if options.only is not None:
        runs = tuple(spec for spec in runs if spec.id.startswith(options.only))
    return missing(runs, store, options.refresh)


def reproduce(
    plans: Sequence[Plan], store: Store, executor: Executor | None, options: Options
) -> list[Outcome]:
    """Compute experiments; export the table, draw the figure and check the claims of each.

    Figures are drawn beside the runs of the next experiment. Experiments that time this machine
    come last, and nothing is drawn beside them.
    """
    last = [_times_machine(plan) for plan in plans]
    outcomes: dict[int, Outcome] = {}
    with Drawing(_artists(options, len(plans)), options.plugins) as drawing:
        for place, plan in enumerate(plans):
            if not last[place]:
                tally = compute_missing(plan, store, executor, options)
                outcomes[place] = _finished(plan, store, tally, drawing)
        drawing.wait()
        timed = [place for place, alone in enumerate(last) if alone]
        tallies = [compute_missing(plans[place], store, executor, options) for place in timed]
        for place, tally in zip(timed, tallies, strict=True):
            outcomes[place] = _finished(plans[place], store, tally, drawing)
    return [outcomes[place] for place in range(len(plans))]


def _times_machine(plan: Plan) -> bool:
    return bool(plan.runs) and is_exclusive(plan.runs[0])


def _artists(options: Options, figures: int) -> int:
    """Return how many processes draw; a single figure is drawn here as fast."""
    if options.serial or figures < 2:
        return 0
    return options.workers or len(os.sched_getaffinity(0))


def compute_missing(plan: Plan, store: Store, executor: Executor | None, options: Options) -> Tally:
    """Compute the runs of a plan that are to be done, unless it lacks what it needs."""
    todo, tally = todo_of(plan, store, options)
    if not todo or executor is None or lacks_of(plan):
        return tally
    label = f"{plan.manifest.id} ({plan.size})"
    alone = ", one at a time, for they time this machine" if is_exclusive(todo[0]) else ""
    say(f"{label}: {len(todo)} runs to do, {len(plan.runs) - len(todo)} there already{alone}")
    with Progress(label, len(todo), executor.workers) as progress:
        new = compute(
            todo,
            store,
            executor,
            plugins=options.plugins,
            refresh=options.refresh,
            on_report=progress,
        )
    stale = 0 if options.refresh else tally.stale
    return Tally(new.done, tally.cached + new.cached, stale, new.failed)


def _finished(plan: Plan, store: Store, tally: Tally, drawing: Drawing) -> Outcome:
    """Export the table, draw the figure and check the claims of what is in the store."""
    results, lacks = collect(plan, store), lacks_of(plan)
    figure = None
    if results.run_ids:
        export(results, store.root)
        figure = drawing.submit(results, build_root() / "figures")
    return Outcome(results, tally, check_claims(results, lacks), lacks, figure)


def checks_on(plan: Plan, store: Store) -> list[Check]:
    """Check the claims against the runs of a plan; where some lack, against recorded ones."""
    from experiments.recorded import recorded

    results = collect(plan, store)
    whole = len(results.run_ids) == len(plan.runs)
    kept = None if whole else recorded(plan.manifest, store, plan.size)
    return check_claims(results if kept is None else kept, lacks_of(plan))


def report_on(plans: Sequence[Plan], store: Store, path: Path) -> Path:
    """Write the HTML report on what is in the store and on what is recorded; compute nothing."""
    from experiments.recorded import recorded
    from experiments.report import Entry, write_report

    shown: list[tuple[Results, tuple[str, ...]]] = []
    for plan in plans:
        shown.append((collect(plan, store), lacks_of(plan)))
        kept = None if plan.overridden else recorded(plan.manifest, store)
        if kept is not None:
            shown.append((kept, ()))
    with Drawing(_artists(Options(), len(shown))) as drawing:
        figures = [drawing.submit(results, build_root() / "figures") for results, _ in shown]
        entries = [
            Entry(results, check_claims(results, lacks), figure.result(), lacks)
            for (results, lacks), figure in zip(shown, figures, strict=True)
        ]
    return write_report(entries, path, datetime.now(UTC).isoformat(timespec="minutes"))


@contextmanager
def executor_for(
    options: Options, plans: Sequence[Plan], store: Store
) -> Iterator[Executor | None]:
    """Yield the executor that the options ask for, or None where nothing is to be computed.

    It is stopped at the end, also by Ctrl-C or SIGTERM, which arrive here as KeyboardInterrupt.
    """
    if not any(todo_of(plan, store, options)[0] and not lacks_of(plan) for plan in plans):
        yield None
        return
    executor = _make(options)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield executor
    finally:
        signal.signal(signal.SIGTERM, before)
        executor.stop()


def _make(options: Options) -> Executor:
    if options.cluster is not None:
        from experiments.executors.cluster import ClusterExecutor

        return ClusterExecutor(options.cluster)
    if options.serial:
        from experiments.executors.serial import SerialExecutor

        return SerialExecutor()
    from experiments.executors.local import LocalExecutor

    return LocalExecutor(options.workers)


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def say(text: str) -> None:
    """Tell the user how it goes, on standard error."""
    print(text, file=sys.stderr, flush=True)


def summary(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the lines that end a session: per experiment its runs, claims, troubles, failures."""
    for outcome in outcomes:
        plan, tally = outcome.results.plan, outcome.tally
        counts = f"{len(outcome.results.run_ids)}/{len(plan.runs)} runs"
        extra = [f"{len(tally.failed)} failed"] if tally.failed else []
        if tally.stale:
            extra.append(f"{tally.stale} stale: made by older code; --refresh redoes them")
        if outcome.lacks:
            known = " (see `triptych doctor`)" if set(outcome.lacks) & {*CAPABILITY_NAMES} else ""
            extra.append(f"needs {', '.join(outcome.lacks)}{known}")
        yield f"{plan.manifest.id} ({plan.size}): " + "; ".join([counts, *extra])
        yield from (f"  {check.claim.id}: {check.sentence()}" for check in outcome.checks)
        if outcome.trouble:
            yield f"  no figure: {outcome.trouble}"
        for run_id, reason in tally.failed.items():
            yield f"  failed {run_id[:12]}: {reason}"
            how = (outcome.results.store.failure(run_id) or {}).get("how")
            yield f"    alone: {rerun_command(plan, run_id, how)}"


def rerun_command(plan: Plan, run_id: str, how: str | None = None) -> str:
    """Return the command that does one run alone.

    In the foreground, or kept within its limits where it had died of them (`how`).
    """
    where = "--serial" if how in (None, "error") else "--workers 1"
    invoked = plan.invoked or ("reproduce", plan.manifest.id)
    options = ("--size", plan.size, "--only", run_id[:12], where)
    return f"{shlex.join(('triptych', *invoked, *options[:-1]))} {where}"


def check_only(plans: Sequence[Plan], options: Options) -> None:
    """Refuse an `only` that names no run of any plan.

    Raises:
        InputError: it does not.
    """
    only = options.only
    if only is not None and not any(s.id.startswith(only) for p in plans for s in p.runs):
        raise InputError(f"--only {only}: no run of {len(plans)} experiments starts so")


def check_writable(store: Store) -> None:
    """Find out before anything starts whether results can be stored.

    Raises:
        InputError: they cannot.
    """
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=store.root):
            return
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"results cannot be written to {store.root}: {reason}; TRIPTYCH_RESULTS names another"
        ) from None


def estimate(plan: Plan, todo: int) -> str:
    """Return the expected time for `todo` runs of the plan, from the manifest's measured time."""
    share = todo / len(plan.runs)
    return duration(plan.manifest.size(plan.size).seconds * share)
