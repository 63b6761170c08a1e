"""Runs that time the machine run alone: after the others, one at a time, nothing beside them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import session
from experiments.fingerprint import closure
from experiments.identity import RunSpec
from experiments.kinds.base import KINDS
from experiments.manifest import Limits
from experiments.session import compute, is_exclusive
from experiments.store import Store
from experiments.worker import Report, Task
from tests.experiments.harness import sweep

ALONE, TOGETHER = "timed", "plain"


class Kind:
    """A kind that says whether it is exclusive."""

    def __init__(self, exclusive: bool) -> None:
        self.exclusive = exclusive


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, Any] = {ALONE: Kind(True), TOGETHER: object()}
    monkeypatch.setattr(session.KINDS, "get", known.__getitem__)


def runs(kinds: list[str]) -> list[RunSpec]:
    return [
        RunSpec(f"{place:064x}", kind, {"seed": 0}, {}, "", Limits())
        for place, kind in enumerate(kinds)
    ]


class Watcher:
    """An executor of threads that notes what runs beside what; every third asks to wait once."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool = ThreadPoolExecutor(workers)
        self._lock = threading.Lock()
        self._running: list[str] = []
        self._asked: set[str] = set()
        self.company: list[tuple[str, tuple[str, ...]]] = []

    def submit(self, task: Task) -> Future[Report]:
        return self._pool.submit(self._do, task.spec)

    def _do(self, spec: RunSpec) -> Report:
        with self._lock:
            if int(spec.id, 16) % 3 == 2 and spec.id not in self._asked:
                self._asked.add(spec.id)
                return Report(spec.id, "busy")
            self.company.append((spec.kind, tuple(self._running)))
            self._running.append(spec.kind)
        time.sleep(0.001)
        with self._lock:
            self._running.remove(spec.kind)
        return Report(spec.id, "done")

    def stop(self) -> None:
        self._pool.shutdown()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([ALONE, TOGETHER]), max_size=12), st.integers(1, 4))
def test_nothing_runs_beside_an_exclusive_run(kinds: list[str], workers: int) -> None:
    watcher = Watcher(workers)
    period, session.BUSY_PERIOD_S = session.BUSY_PERIOD_S, 0.001
    try:
        tally = compute(runs(kinds), Store(Path("nowhere")), watcher)
    finally:
        session.BUSY_PERIOD_S = period
        watcher.stop()
    assert tally.done == len(kinds)
    order = [kind for kind, _ in watcher.company]
    assert order == sorted(order)  # plain before timed
    assert all(not beside for kind, beside in watcher.company if kind == ALONE)


def test_each_policy_runs_once_before_any_runs_again() -> None:
    """So that workers which have nothing compiled yet compile different things."""
    policies = [name for name in "abc" for _ in range(4)]
    specs = [
        RunSpec(f"{place:064x}", TOGETHER, {"seed": 0, "policy": name}, {}, "", Limits())
        for place, name in enumerate(policies)
    ]
    submitted: list[str] = []

    class One(Watcher):
        def submit(self, task: Task) -> Future[Report]:
            submitted.append(task.spec.id)
            done: Future[Report] = Future()
            done.set_result(Report(task.spec.id, "done"))
            return done

    assert compute(specs, Store(Path("nowhere")), One(1)).done == len(specs)
    first = [0, 4, 8]
    assert submitted == [specs[i].id for i in first + [i for i in range(12) if i not in first]]


def test_a_kind_that_says_nothing_is_not_exclusive() -> None:
    alone, together = runs([ALONE, TOGETHER])
    assert is_exclusive(alone)
    assert not is_exclusive(together)


@pytest.mark.extensive
def test_the_command_line_says_that_runs_go_one_at_a_time(tmp_path: Path) -> None:
    each = sweep(tmp_path, kind="timed", seeds=3)
    said = each.run("--workers", "2")
    assert said.returncode == 0, said.stderr
    assert "3 runs to do, 0 there already, one at a time" in said.stderr


def test_templates_beside_a_module_are_part_of_its_fingerprint() -> None:
    path = Path(session.__file__).parents[1] / "tuning/templates/cpu/render.py"
    found = closure([path])
    assert path in found
    assert path.parent / "source" / "gemm.hpp" in found


def test_of_the_other_panels_only_what_tells_its_speed_is_exclusive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Simulated time is no other on a busy machine."""
    monkeypatch.undo()
    others = [name for name in KINDS.names() if name.startswith(("serving-", "congestion-"))]
    alone = {name for name in others if getattr(KINDS.get(name), "exclusive", False)}
    assert len(others) > 1
    assert alone == {
        *("congestion-ack-cost", "congestion-agreement", "congestion-decision-cost"),
        "congestion-emulated",
        *("congestion-teacher", "serving-vllm-order", "serving-vllm-time"),
    }
