"""What happens when vLLM is absent, too old, talks nonsense or dies; no vLLM is needed here."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from policies.ordering.base import FINISHED, NEW, PREEMPTED, RUNNING
from serving.engine.config import EngineConfig
from serving.engine.result import OrderError
from serving.engine.run import simulate
from serving.estimates import oracle
from serving.pool import RequestPool, Workload
from serving.vllm.answers import Answerer
from serving.vllm.cases import random_case
from serving.vllm.client import Sizes, VllmEngine
from serving.vllm.model import dummy_named
from serving.vllm.predicted import equal_steps, predicted
from serving.vllm.process import VllmError, VllmProcess
from serving.vllm.rows import Row, first_difference
from serving.vllm.tokens import prompts_of
from tests.serving.pools import random_workload

TINY = Sizes(dummy_named("tiny"))


def _python(folder, body):
    """Return the path of something that behaves like a Python with `body` for a program."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def _with_vllm(folder, version):
    """Return a Python that finds vLLM's distribution of that version, and no more of it."""
    about = folder / "site" / f"vllm-{version}.dist-info"
    about.mkdir(parents=True)
    text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n"
    (about / "METADATA").write_text(text, encoding="utf-8")
    path = f"{folder / 'site'}:$PYTHONPATH"
    return _python(folder, f'PYTHONPATH="{path}" exec {sys.executable} "$@"')


def _children():
    """Return the processes that this one has started and that are still there."""
    mine = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return {int(pid) for pid in mine}


@pytest.fixture
def no_orphan():
    """After the test there are no processes that were not there before."""
    before = _children()
    yield
    assert _children() <= before


@pytest.mark.usefixtures("no_orphan")
def test_absent_environment_is_one_line(tmp_path):
    with pytest.raises(VllmError, match=r"does not exist; make vllm installs it"):
        VllmEngine(TINY, tmp_path / "none")


@pytest.mark.usefixtures("no_orphan")
def test_environment_without_vllm_is_one_line(tmp_path):
    with pytest.raises(VllmError, match=r"not installed in this environment \(make vllm\)"):
        VllmEngine(TINY, _python(tmp_path, f'exec {sys.executable} "$@"'))


@pytest.mark.usefixtures("no_orphan")
@pytest.mark.parametrize(("version", "word"), [("0.19.0", "old"), ("0.40.1", "new")])
def test_other_versions_are_refused(tmp_path, version, word):
    with pytest.raises(VllmError, match=rf"vLLM {version} is too {word}: 0.32 is needed"):
        VllmEngine(TINY, _with_vllm(tmp_path, version))


@pytest.mark.usefixtures("no_orphan")
def test_a_fault_in_a_run_ends_the_process_and_what_it_started(tmp_path):
    """Out of memory in the middle of a run: one message, and nothing stays."""
    answers = "read a; echo '{\"ready\": {}}'; read b; sleep 60 & echo $! > child"
    body = f'cd {tmp_path}; {answers}; echo \'{{"fault": "out of memory: no more"}}\'; sleep 60'
    case = random_case(
        np.random.default_rng(1), tightness="snug", admission="fcfs", caching=True, staggered=False
    )
    with VllmEngine(TINY, _python(tmp_path, body)) as engine:
        pid = engine.process.pid
        with pytest.raises(VllmError, match="vLLM: out of memory: no more"):
            engine.run(case.workload, case.prompts, case.guess, case.plan, case.config)
        child = int((tmp_path / "child").read_text())
        assert not _lives(pid)
        end = time.monotonic() + 10  # nobody waits for a grandchild, so its death takes a moment
        while _lives(child) and time.monotonic() < end:
            time.sleep(0.01)
        assert not _lives(child)


def _lives(pid):
    """Return whether a process is there and is no zombie that waits to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo nonsense; sleep 60", "answered b'nonsense', which is no message"),
        ("echo '[1]'; sleep 60", "which is no message"),
        ("echo last words >&2; exit 3", "left with code 3: last words"),
        ("kill -SEGV $$", "was ended by SIGSEGV"),
        ("kill -KILL $$", "was killed"),
    ],
)
def test_a_process_that_fails_is_told_and_gone(tmp_path, body, message):
    with VllmProcess(_python(tmp_path, body)) as process:
        pid = process.pid
        with pytest.raises(VllmError, match=message):
            process.receive(20)
    assert not os.path.exists(f"/proc/{pid}")


def test_silence_ends_with_the_time(tmp_path):
    with VllmProcess(_python(tmp_path, "sleep 60")) as process:
        began = time.monotonic()
        with pytest.raises(VllmError, match=r"longer than 0\.2 s"):
            process.receive(0.2)
        assert time.monotonic() - began < 10


def test_a_process_that_is_gone_takes_no_message(tmp_path):
    def talk(process: VllmProcess) -> None:
        for _ in range(100):
            process.send({"run": "x" * 100_000})
            time.sleep(0.01)

    with VllmProcess(_python(tmp_path, "exit 0")) as process, pytest.raises(VllmError):
        talk(process)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="dtype must be one of float32, bfloat16"):
        Sizes(dummy_named("tiny"), dtype="int3").message()
    with pytest.raises(ValueError, match="exceeds the KV cache of 320"):
        Sizes(dummy_named("tiny"), kv_blocks=10).message()


@pytest.mark.parametrize("seed", range(6))
def test_rows_add_up_to_the_engine_that_is_compiled(seed):
    """Steps, hits, tokens and preemptions of the rows are the totals of the fast engine."""
    words = {"tightness": "tight", "staggered": seed % 2 == 0, "caching": seed != 3}
    admission = ("fcfs", "priority", "asked")[seed % 3]
    case = random_case(np.random.default_rng(seed), admission=admission, **words)
    rows = predicted(case.workload, case.guess, case.plan, case.config)
    totals = simulate(case.workload, case.guess, case.plan, case.config).totals
    assert len(rows) == totals.steps
    assert sum(t for row in rows for _, t, _ in row.scheduled) == totals.scheduled_tokens
    assert sum(len(row.preempted) for row in rows) == totals.preemptions
    hits = [sum(h for row in rows for _, h, b in row.admitted if b == kind) for kind in (0, 1)]
    assert hits == [totals.first_hit_tokens, totals.resume_hit_tokens]


@pytest.mark.parametrize("seed", range(5))
def test_token_ids_share_what_the_pool_shares(seed):
    rng = np.random.default_rng(seed)
    pool = random_workload(rng, 20, 2).pool
    again = RequestPool.from_tokens(prompts_of(pool, 100_000, rng), 2)
    assert np.array_equal(pool.block_ids, again.block_ids)
    assert np.array_equal(pool.prompt_tokens, again.prompt_tokens)
    with pytest.raises(ValueError, match="vocabulary must be > 3"):
        prompts_of(pool, 3, rng)


def _row(**changes):
    plain = Row(0, ((0, 4, 0),), ((0, 0, 0),), (), (), 1, 0, 1)
    return plain._replace(**changes)


def test_where_two_runs_part_is_said():
    assert first_difference([_row()], [_row()]) is None
    other = first_difference([_row()], [_row(kv_blocks=2)])
    assert other == "step 0, kv_blocks: simulated 1, vLLM 2"
    assert first_difference([_row()], []) == "simulated 1 steps, vLLM 0"


@pytest.mark.parametrize("damage", [{"step": "x"}, {"scheduled": [[1, 2]]}, {"finished": None}])
def test_a_damaged_row_is_refused(damage):
    with pytest.raises(ValueError, match="is damaged"):
        Row.of(_row()._asdict() | damage)


class Told:
    """An adaptive plan that keeps what it was shown and gives one answer."""

    def __init__(self, answer):
        self.given, self.seen = answer, None

    def next(self, batch):
        self.seen = batch
        return self.given


TOLD = {
    **{"time_ns": 5, "step": 3, "free_blocks": 2, "total_blocks": 9, "budget_tokens": 7},
    **{"new": [1, 4], "resuming": [[2, 6]], "running": [[3, 40, 2]]},
}


def _workload(n=5):
    return Workload.of(RequestPool.from_tokens([[1, 2]] * n, 2), [9] * n, "equal")


def test_an_order_sees_the_state_that_vllm_told():
    plan = Told(4)
    answerer = Answerer(plan, _workload(), np.empty(0, np.int64))
    answerer.answer(TOLD | {"new": [0, 1, 4]}, lambda r: 10 * r)
    assert answerer.answer(TOLD, lambda r: 10 * r) == 4
    view = plan.seen
    assert view.status.tolist() == [FINISHED, NEW, PREEMPTED, RUNNING, NEW]
    assert view.context_tokens.tolist() == [0, 0, 0, 40, 0]
    assert view.generated_tokens.tolist() == [9, 0, 6, 2, 0]
    assert (view.step, view.free_blocks, view.budget_tokens) == (3, 2, 7)
    assert view.cached_tokens(4) == 40


@pytest.mark.parametrize("answer", [0, 3, 17])
def test_an_answer_that_is_not_new_is_refused(answer):
    answerer = Answerer(Told(answer), _workload(), np.empty(0, np.int64))
    with pytest.raises(OrderError, match="is not new"):
        answerer.answer(TOLD, lambda r: 0)


def test_a_sample_comes_first_and_the_rest_waits():
    plan = Told(1)
    answerer = Answerer(plan, _workload(), np.array([4, 3]))
    assert answerer.answer(TOLD, lambda r: 0) == 4
    assert answerer.answer(TOLD | {"new": [1]}, lambda r: 0) == -1
    assert plan.seen is None
    assert answerer.answer(TOLD | {"new": [1], "running": []}, lambda r: 0) == 1


def test_priority_wants_places():
    config = EngineConfig(equal_steps(64), 8, 64, priority=True)
    with pytest.raises(OrderError, match="only a one-ended plan"):
        simulate(_workload(), oracle(_workload()), Told(0), config)
    with pytest.raises(ValueError, match="greedy admission only"):
        EngineConfig(equal_steps(64), 8, 64, priority=True, kv_reserve=0.5)
