"""The command line `triptych`. Results go to standard output, progress to standard error."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments import datapath
from experiments.calibrate import calibrate
from experiments.cli_parts import (
    AnyNames,
    Cluster,
    DryRun,
    Names,
    Only,
    Plugins,
    Refresh,
    Serial,
    Set,
    SizeOption,
    Workers,
    capabilities_among,
    manifest_or_file,
    manifests_of,
    options_of,
)
from experiments.conform import conform
from experiments.json_output import Json, print_json
from experiments.paths import build_root, results_root
from experiments.problems import InputError
from policies.registry import BrokenSourceError

if TYPE_CHECKING:
    from experiments.plan import Plan
    from experiments.reproduce import Options

app = typer.Typer(
    help="Reproduce the experiments of three systems papers, sweep them, add a policy of your own.",
    epilog="Exit codes: 0 done, 1 a run failed, 2 bad input,"
    " 130 interrupted (call again to go on).",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)

app.add_typer(datapath.app, name="datapath")
app.command()(calibrate)
app.command()(conform)


@app.command("list")
def list_(names: AnyNames = None, size: SizeOption = "quick", json: Json = False) -> None:
    """Show every experiment: what it claims, what it needs, how long it takes, its state."""
    from experiments.catalog import entries, select
    from experiments.listing import as_json, states
    from experiments.store import Store

    chosen = select(names, entries()) if names else entries()
    found = states(chosen, size, Store(results_root()))
    present = capabilities_among({need for entry in chosen for need in entry.needs})
    if json:
        rows = [as_json(entry, found[entry.id], present) for entry in chosen]
        return print_json({"schema": 1, "experiments": rows})
    from experiments.display import experiments_table

    experiments_table(chosen, found, size, present)


@app.command()
def reproduce(
    names: Names,
    size: SizeOption = "quick",
    workers: Workers = None,
    serial: Serial = False,
    cluster: Cluster = None,
    refresh: Refresh = False,
    plugin: Plugins = None,
    only: Only = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Do all of it: compute what is missing, draw the figures, check the claims.

    Interrupt it whenever you like; the same command goes on.
    """
    from experiments.plan import make_plan

    options = options_of(workers, serial, cluster, refresh, plugin, only)
    plans = [make_plan(manifest, size) for manifest in manifests_of(names)]
    _compute(plans, options, dry_run, json)


@app.command()
def run(
    manifest: Annotated[Path, typer.Argument(help="a manifest file")],
    size: SizeOption = "quick",
    set_: Set = None,
    workers: Workers = None,
    serial: Serial = False,
    cluster: Cluster = None,
    refresh: Refresh = False,
    plugin: Plugins = None,
    only: Only = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Run a manifest of your own, or one of ours with other values: -s overlap.h=0.3,0.7."""
    from experiments.check import load_manifest
    from experiments.plan import make_plan, parse_overrides

    options = options_of(workers, serial, cluster, refresh, plugin, only)
    plan = make_plan(load_manifest(manifest), size, parse_overrides(set_ or []))
    given = [("-s", text) for text in set_ or []] + [("--plugin", str(p)) for p in plugin or []]
    words = ("run", str(manifest), *(word for pair in given for word in pair))
    _compute([replace(plan, invoked=words)], options, dry_run, json)


@app.command()
def status(names: AnyNames = None, size: SizeOption = "quick", json: Json = False) -> None:
    """Show what is done, missing, failed and running, and how to redo a failed run alone."""
    from experiments.plan import make_plan
    from experiments.status import print_status, status_rows
    from experiments.store import Store

    plans = [make_plan(manifest, size) for manifest in manifests_of(names or ["*"])]
    rows = status_rows(plans, Store(results_root()))
    print_json({"schema": 1, "experiments": rows}) if json else print_status(rows)


@app.command()
def compare(
    name: Annotated[str, typer.Argument(help="an experiment, or a manifest file")],
    size: SizeOption = "quick",
    baseline: Annotated[str | None, typer.Option(help="compare with this policy only")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="only these metrics")] = None,
    plugin: Plugins = None,
    set_: Set = None,
    run: Annotated[bool, typer.Option("--run", help="compute first what is missing")] = False,
    json: Json = False,
) -> None:
    """Put policies side by side on one sweep, paired by point and seed; --plugin adds yours."""
    from experiments.compare import comparison, print_comparison
    from experiments.own import beside_ours, computed
    from experiments.plan import make_plan, parse_overrides

    manifest, options = manifest_or_file(name), options_of(plugin=plugin)
    given = parse_overrides(set_ or [])
    given = beside_ours(manifest, size, given, options.plugins, baseline)
    results, failed = computed(make_plan(manifest, size, given), options, run)
    rows = comparison(results, baseline, metric)
    if json:
        print_json({"schema": 1, "rows": [row.as_json() for row in rows]})
    else:
        print_comparison(rows)
    if failed:
        raise typer.Exit(1)


@app.command()
def claims(names: AnyNames = None, size: SizeOption = "quick", json: Json = False) -> None:
    """Show each claim: the paper's value, ours with its interval, the verdict.

    Where that size has not wholly run here, recorded results are shown if there are any.
    """
    from experiments.plan import make_plan
    from experiments.reproduce import checks_on
    from experiments.store import Store

    store = Store(results_root())
    plans = [make_plan(manifest, size) for manifest in manifests_of(names or ["*"])]
    checks = [check for plan in plans for check in checks_on(plan, store)]
    if json:
        return print_json({"schema": 1, "claims": [check.as_json() for check in checks]})
    from experiments.display import claims_table

    claims_table(checks)


@app.command()
def report(
    names: AnyNames = None,
    size: SizeOption = "quick",
    out: Annotated[Path | None, typer.Option(help="default: build/report.html")] = None,
    json: Json = False,
) -> None:
    """Write one HTML file with the figures, claims, data and provenance; it opens anywhere."""
    from experiments.plan import make_plan
    from experiments.reproduce import report_on
    from experiments.store import Store

    plans = [make_plan(manifest, size) for manifest in manifests_of(names or ["*"])]
    path = report_on(plans, Store(results_root()), out or build_root() / "report.html")
    print_json({"schema": 1, "report": str(path)}) if json else print(path)


@app.command()
def record(names: Names, size: SizeOption = "paper", json: Json = False) -> None:
    """Keep finished results in the repository, with where they come from.

    For runs that take hours or hardware that few have; the report shows them as recorded.
    """
    from experiments.plan import make_plan
    from experiments.recorded import record as keep
    from experiments.store import Store
    from experiments.tables import collect

    store = Store(results_root())
    plans = [make_plan(manifest, size) for manifest in manifests_of(names)]
    files = [str(keep(collect(plan, store))) for plan in plans]
    print_json({"schema": 1, "recorded": files}) if json else print("\n".join(files))


@app.command()
def doctor(
    fresh: Annotated[
        bool, typer.Option(help="look again instead of the last hour's answer")
    ] = False,
    json: Json = False,
) -> None:
    """Show what this machine has, what each lack means, and what to install."""
    from experiments.doctor import show

    show(json=json, fresh=fresh)


@app.command()
def clean(
    names: AnyNames = None,
    stale: Annotated[bool, typer.Option(help="only runs that older code made")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="do it, rather than say what would go")
    ] = False,
    json: Json = False,
) -> None:
    """Remove results: of some experiments, the stale ones, or failure records and leftovers."""
    from experiments.cleaning import clean as do_clean

    removed = do_clean(results_root(), names or [], stale_only=stale, really=yes)
    if json:
        return print_json({"schema": 1, "removed": removed, "done": yes})
    print(f"{'removed' if yes else 'would remove (say --yes)'}: {removed} runs")


@app.command()
def schema() -> None:
    """Print the JSON Schema of manifests, for editors that complete and check as you type."""
    from experiments.manifest import Manifest

    print_json(Manifest.model_json_schema())


def main() -> None:
    """Run the command line; turn what a user did wrong into one message and exit code 2."""
    try:
        app()
    except (InputError, BrokenSourceError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; what had finished is kept, the same command goes on", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        print(f"the system said no: {error}", file=sys.stderr)
        sys.exit(1)


def _compute(plans: list[Plan], options: Options, dry_run: bool, json: bool) -> None:
    from experiments.reproduce import (
        check_only,
        check_writable,
        estimate,
        executor_for,
        reproduce,
        summary,
        todo_of,
    )
    from experiments.store import Store

    store = Store(results_root())
    check_only(plans, options)
    if dry_run:
        rows = [
            {"id": p.manifest.id, "size": p.size, "planned": len(p.runs), "todo": len(todo),
             "time": estimate(p, len(todo))}
            for p in plans
            for todo in [todo_of(p, store, options)[0]]
        ]  # fmt: skip
        if json:
            return print_json({"schema": 1, "dry_run": True, "experiments": rows})
        for row in rows:
            print("{id} ({size}): {todo} of {planned} runs to do, about {time}".format_map(row))
        return None
    check_writable(store)
    store.sweep_leftovers()
    with executor_for(options, plans, store) as executor:
        outcomes = reproduce(plans, store, executor, options)
    if json:
        checks = [check.as_json() for o in outcomes for check in o.checks]
        failed = {i: why for o in outcomes for i, why in o.tally.failed.items()}
        done = sum(o.tally.done for o in outcomes)
        print_json({"schema": 1, "done": done, "failed": failed, "claims": checks})
    else:
        print("\n".join(summary(outcomes)))
    if any(o.tally.failed or o.trouble for o in outcomes):
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
