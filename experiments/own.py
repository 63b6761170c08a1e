"""Policies of the user's own, in files outside the repository: put beside ours in one sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.kinds.base import KINDS
from experiments.manifest import Manifest
from experiments.paths import results_root
from experiments.plan import Plan
from experiments.problems import InputError
from experiments.reproduce import (
    Options,
    check_writable,
    compute_missing,
    executor_for,
    lacks_of,
    say,
)
from experiments.store import Store
from experiments.tables import Results, collect
from policies.registry import Registry


def names_in(files: Sequence[Path], registry: Registry[Any]) -> list[str]:
    """Return the names that loaded plug-in files registered in `registry`, in no special order."""
    wanted = {path.resolve() for path in files}
    return [name for name, path in registry.paths().items() if path in wanted]


def beside_ours(
    manifest: Manifest,
    size: str,
    overrides: Mapping[str, Sequence[Any]],
    plugins: Sequence[Path],
    baseline: str | None,
) -> dict[str, list[Any]]:
    """Return the overrides with the plug-ins' policies among those compared.

    With a baseline, the sweep holds it and them alone, so that nothing else need run. Policies that
    `overrides` names are left as they are.

    Args:
        manifest: the experiment.
        size: of it.
        overrides: what `-s` said.
        plugins: files that have been loaded.
        baseline: the policy to compare with, or None for all of the manifest's.

    Raises:
        InputError: the experiment compares no policies, or none of what the files register.
    """
    given = {name: list(values) for name, values in overrides.items()}
    if not plugins or "policies" in given:
        return given
    registry = KINDS.get(manifest.kind).policies
    if registry is None:
        raise InputError(f"{manifest.id} compares no policies, so --plugin has nothing to add")
    if not (own := names_in(plugins, registry)):
        files = ", ".join(map(str, plugins))
        raise InputError(
            f"--plugin {files}: registers no {registry.noun}, which is what {manifest.id} compares"
        )
    ours = [baseline] if baseline else manifest.policies_of(size)
    return {**given, "policies": list(dict.fromkeys([*ours, *own]))}


def computed(plan: Plan, options: Options, run: bool) -> tuple[Results, bool]:
    """Return the plan's results, and whether a run failed now.

    What is missing is computed if `run`; otherwise standard error says how much is missing.
    """
    store = Store(results_root())
    failed: dict[str, str] = {}
    if run:
        check_writable(store)
        with executor_for(options, [plan], store) as executor:
            failed = compute_missing(plan, store, executor, options).failed
        for run_id, reason in failed.items():
            say(f"failed {run_id[:12]}: {reason}")
        if lacks := lacks_of(plan):
            say(f"{plan.manifest.id}: needs {', '.join(lacks)}; nothing was run")
    results = collect(plan, store)
    if not run and (lacking := len(plan.runs) - len(results.run_ids)):
        say(f"{lacking} of {len(plan.runs)} runs are missing; --run computes them")
    return results, bool(failed)
