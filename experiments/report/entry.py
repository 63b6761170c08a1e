"""What the report is given per experiment, and what of it is read more than once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from experiments.claims import Check
from experiments.figures.render import Rendered
from experiments.manifest import Manifest
from experiments.tables import Results


@dataclass(frozen=True)
class Entry:
    """One experiment at one size.

    Attributes:
        results: its finished runs.
        checks: its claims, checked.
        figure: its drawn figure, or None if none was asked for.
        missing_needs: capabilities that it needs and this machine lacks.
    """

    results: Results
    checks: Sequence[Check] = ()
    figure: Rendered | None = None
    missing_needs: tuple[str, ...] = ()

    @property
    def manifest(self) -> Manifest:
        """The experiment."""
        return self.results.manifest

    @property
    def anchor(self) -> str:
        """Fragment of the experiment's place in the page; manifest ids hold no odd characters."""
        recorded = "-recorded" if self.results.origin == "recorded" else ""
        return self.manifest.id.replace("/", "-") + recorded

    @property
    def command(self) -> str:
        """The command that computes what is missing and nothing else."""
        return f"triptych reproduce {self.manifest.id} --size {self.results.plan.size}"

    @property
    def state(self) -> str:
        """One of never, partial, done, stale, failed, as `triptych list` calls them."""
        results = self.results
        if results.failed:
            return "failed"
        if not results.run_ids:
            return "never"
        if results.stale:
            return "stale"
        return "done" if len(results.run_ids) == len(results.plan.runs) else "partial"

    @cached_property
    def provenance(self) -> list[dict[str, Any]]:
        """`run.json` of every finished run."""
        return self.results.provenance()

    @cached_property
    def failures(self) -> list[dict[str, Any]]:
        """The records of the runs whose last attempt failed."""
        store = self.results.store
        return [record for i in self.results.failed if (record := store.failure(i)) is not None]
