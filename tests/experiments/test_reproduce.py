"""Several experiments in one command: what times the machine comes last and has it to itself."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from experiments import reproduce as module
from experiments.check import load_manifest
from experiments.executors.serial import SerialExecutor
from experiments.figures.render import Rendered
from experiments.plan import Plan, make_plan
from experiments.reproduce import Options, Outcome, reproduce
from experiments.store import Store
from experiments.tables import Results
from experiments.worker import Report, Task, registries
from policies.registry import load_plugin
from tests.experiments.harness import PLUGIN, write_manifest

KINDS = ["timed", "trivial", "timed", "trivial"]


class Watched:
    """Stands for an executor and for those who draw; keeps what they are asked to do, in order."""

    def __init__(self) -> None:
        self.workers = 1
        self.events: list[tuple[str, str]] = []
        self._runs = SerialExecutor()

    def submit(self, task: Task) -> Future[Report]:
        self.events.append(("run", task.spec.kind))
        return self._runs.submit(task)

    def stop(self) -> None:
        """Nothing runs between two calls."""

    def draw(self, results: Results, out_root: Path) -> Future[Rendered]:
        assert len(results.run_ids) == len(results.plan.runs)
        self.events.append(("draw", results.manifest.kind))
        future: Future[Rendered] = Future()
        future.set_result(Rendered(None, None, None, problem=f"none of {results.manifest.id}"))
        return future

    def wait(self) -> None:
        self.events.append(("wait", ""))


class Pens:
    """In place of `Drawing`."""

    def __init__(self, watched: Watched) -> None:
        self.submit, self.wait = watched.draw, watched.wait

    def __enter__(self) -> Pens:
        return self

    def __exit__(self, *_: object) -> None:
        """All is drawn at once here."""


@pytest.fixture
def plans(tmp_path: Path) -> list[Plan]:
    load_plugin(PLUGIN, registries())
    found = []
    for place, kind in enumerate(KINDS):
        fields: dict[str, Any] = {"id": f"mine/e{place}", "kind": kind, "base": {"x": place}}
        folder = tmp_path / str(place)
        folder.mkdir()
        found.append(make_plan(load_manifest(write_manifest(folder, **fields, seeds=2)), "quick"))
    return found


def done(
    plans: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Watched, list[Outcome]]:
    watched = Watched()
    monkeypatch.setattr(module, "Drawing", lambda *_: Pens(watched))
    outcomes = reproduce(plans, Store(tmp_path / "results"), watched, Options(serial=True))
    return watched, outcomes


def test_what_times_the_machine_runs_last_and_nothing_is_drawn_beside_it(
    plans: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, _ = done(plans, tmp_path, monkeypatch)
    plain = [("run", "trivial"), ("run", "trivial"), ("draw", "trivial")]
    assert watched.events == [
        *(2 * plain),
        ("wait", ""),
        *(4 * [("run", "timed")]),
        *(2 * [("draw", "timed")]),
    ]


def test_outcomes_are_in_the_order_of_the_plans(
    plans: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, outcomes = done(plans, tmp_path, monkeypatch)
    assert [outcome.results.manifest.id for outcome in outcomes] == [p.manifest.id for p in plans]
    assert [outcome.tally.done for outcome in outcomes] == [2, 2, 2, 2]
    assert [outcome.trouble for outcome in outcomes] == [f"none of mine/e{i}" for i in range(4)]
    _, again = done(plans, tmp_path, monkeypatch)
    assert [(o.tally.done, o.tally.cached) for o in again] == 4 * [(0, 2)]


def test_without_an_executor_nothing_is_computed(
    plans: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched()
    monkeypatch.setattr(module, "Drawing", lambda *_: Pens(watched))
    outcomes = reproduce(plans, Store(tmp_path / "results"), None, Options())
    assert watched.events == [("wait", "")]
    assert all(outcome.figure is None and outcome.trouble == "" for outcome in outcomes)
