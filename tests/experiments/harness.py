"""A sweep through the real command line in a process of its own, for tests that kill it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.identity import RunSpec
from experiments.kinds.base import Outcome
from experiments.plan import Plan
from experiments.store import Store
from experiments.tables import Results, collect

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = Path(__file__).with_name("plugin_kinds.py")


def write_manifest(folder: Path, **fields: Any) -> Path:
    """Write a manifest of trivial runs, with `fields` in place of its own; return the file."""
    sizes = {name: {"seconds": 5.0} for name in ("quick", "standard", "paper")}
    manifest = {
        "schema": 1,
        "id": "mine/sweep",
        "title": "Trivial runs",
        "question": "Does the runner run?",
        "panel": "serving",
        "artefact": "not in the paper",
        "kind": "trivial",
        "promise": "L0",
        "metrics": ["value"],
        "sizes": sizes,
        **fields,
    }
    path = folder / "sweep.yaml"
    path.write_text(json.dumps(manifest, indent=1))  # JSON is YAML
    return path


def _hear_interrupts() -> None:
    """Undo what a shell does to its background jobs, which tests may be part of."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass(frozen=True)
class Sweep:
    """A manifest and the folders that its runs go to."""

    manifest: Path
    home: Path

    def command(self, *options: str) -> list[str]:
        """Return the command line that runs the sweep."""
        base = [sys.executable, "-m", "experiments.cli", "run", str(self.manifest)]
        return [*base, "--plugin", str(PLUGIN), *options]

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the environment that keeps the sweep's files below `home`."""
        folders = {
            "TRIPTYCH_RESULTS": str(self.home / "results"),
            "TRIPTYCH_BUILD": str(self.home / "build"),
            "TRIPTYCH_CACHE": str(self.home / "cache"),
        }
        return {**os.environ, **folders, **extra}

    def run(
        self, *options: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the sweep to its end."""
        return subprocess.run(
            self.command(*options),
            env=self.environment(**(environment or {})),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=240,
        )

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """Start the sweep in a session of its own, so that it can be killed with all it began."""
        return subprocess.Popen(
            self.command(*options),
            env=self.environment(),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_hear_interrupts,
        )

    def table(self) -> bytes:
        """Return the bytes of the exported metrics table."""
        return (self.home / "results/tables/mine/sweep.quick.parquet").read_bytes()

    def finished_files(self) -> list[Path]:
        """Return the `run.json` of each finished run; folders with a dot are being written."""
        found = (self.home / "results/runs").glob("*/*/run.json")
        return [path for path in found if not path.parent.name.startswith(".")]

    def finished(self) -> int:
        """Return how many runs are finished."""
        return len(self.finished_files())


def sweep(home: Path, **fields: Any) -> Sweep:
    """Return a sweep whose manifest and results lie below `home`."""
    home.mkdir(parents=True, exist_ok=True)
    return Sweep(write_manifest(home, **fields), home)


def seeds(count: int) -> Mapping[str, Sequence[int] | int]:
    """Return the field of a manifest that asks for `count` seeds."""
    return {"seeds": count}


def fill(
    store: Store, plan: Plan, metrics: Callable[[RunSpec], Mapping[str, Any] | None]
) -> Results:
    """Store for each run of a plan what `metrics` says (None: not done); return the results."""
    for spec in plan.runs:
        values = metrics(spec)
        if values is not None:
            store.put(spec.id, Outcome(values), {"id": spec.id, "fingerprint": spec.fingerprint})
    return collect(plan, store)
