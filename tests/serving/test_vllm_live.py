"""The simulator does in every step what real vLLM does; with any rule changed it does not."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from policies.ordering.base import NEW, NOT_NOW, OneEnded, later
from serving.engine.config import EngineConfig
from serving.engine.reference_async import AsyncReference
from serving.engine.result import ConservationError, OrderError
from serving.estimates import oracle
from serving.pool import RequestPool, Workload
from serving.vllm.cases import ADMISSION, TIGHTNESS, random_case, sizes_for_cases
from serving.vllm.client import Sizes, VllmEngine
from serving.vllm.model import dummy_named
from serving.vllm.predicted import equal_steps, predicted
from serving.vllm.process import VllmError
from serving.vllm.rows import first_difference
from tests.needs import need
from tests.serving.vllm_mutations import MUTATIONS

pytestmark = pytest.mark.extensive
URGENT = 1000
CASES = (*range(56), URGENT + 15, URGENT + 61, URGENT + 143, URGENT + 145)
"""Seeds; those beyond `URGENT` let urgent requests come late into a full cache, where alone it
shows that a victim's tokens go back to the step's budget."""


def _case(seed):
    rng = np.random.default_rng(seed % URGENT)
    if seed >= URGENT:
        words = {"tightness": TIGHTNESS[seed % 2], "admission": "priority"}
        return random_case(rng, **words, caching=True, staggered=True)
    return random_case(
        rng,
        tightness=TIGHTNESS[(seed // 3) % 3 if seed % 4 else 0],
        admission=ADMISSION[seed % 3],
        caching=seed % 7 != 0,
        staggered=seed % 2 == 0,
    )


@pytest.fixture(scope="module")
def engine():
    need("vllm")
    with VllmEngine(sizes_for_cases(dummy_named("tiny"))) as started:
        yield started


@pytest.fixture(scope="module")
def runs(engine):
    """Random runs on vLLM: (seed, rows)."""
    found = []
    for seed in CASES:
        case = _case(seed)
        run = engine.run(case.workload, case.prompts, case.guess, case.plan, case.config)
        found.append((seed, run.rows))
    return found


def _simulated(seed):
    case = _case(seed)
    return predicted(case.workload, case.guess, case.plan, case.config)


def test_every_step_of_every_run_is_equal(runs):
    """Prefill and decode tokens, hits, admissions, preemptions, blocks, queues: all alike."""
    parted = {seed: first_difference(_simulated(seed), rows) for seed, rows in runs}
    assert not {seed: why for seed, why in parted.items() if why}


def test_the_runs_reach_the_hard_rules(runs):
    """Preemptions, resumptions with hits, chunks, waiting: else equality would say little."""
    rows = [row for _, of_run in runs for row in of_run]
    assert sum(len(row.preempted) for row in rows) > 100
    resumed = [hit for row in rows for _, hit, before in row.admitted if before]
    assert sum(hit > 0 for hit in resumed) > 20
    assert sum(row.waiting > 0 for row in rows) > 200
    first = [hit for row in rows for _, hit, before in row.admitted if not before]
    assert sum(hit > 0 for hit in first) > 200


@pytest.mark.parametrize("rule", MUTATIONS)
def test_a_changed_rule_is_caught(runs, monkeypatch, rule):
    """With one rule changed, some run parts from vLLM's, or the engine fails its own laws."""
    for owner, name, changed in MUTATIONS[rule]:
        monkeypatch.setattr(owner, name, changed)
    for seed, rows in runs:
        try:
            if first_difference(_simulated(seed), rows):
                return
        except (ConservationError, OrderError, KeyError, IndexError, ValueError):
            return
    pytest.fail(f"no run noticed: {rule}")


class Moody:
    """An order that depends on all that it is shown, and sometimes waits."""

    def next(self, batch):
        new = np.flatnonzero(batch.status == NEW)
        mood = int(batch.context_tokens.sum()) + 3 * batch.free_blocks + batch.step
        mood += batch.budget_tokens + len(batch.running) + int(batch.generated_tokens.sum())
        mood += batch.cached_tokens(int(new[0])) + int(batch.status.sum())
        if len(batch.running) and mood % 3 == 0:
            return later(mood % 5) if mood % 2 else NOT_NOW
        return int(new[mood % new.size])


@pytest.mark.parametrize("seed", range(6))
def test_an_adaptive_order_sees_the_same_in_both(engine, seed):
    """Free blocks, contexts, budget, hits and steps are the simulator's at each question."""
    case = _case(2 + 6 * seed)
    run = engine.run(case.workload, case.prompts, case.guess, Moody(), case.config)
    simulated = predicted(case.workload, case.guess, Moody(), case.config)
    assert first_difference(simulated, run.rows) is None


AHEAD = (*range(24), 189, 192, 210)
"""Seeds of runs with async scheduling, most of them where memory is tight; in the last three a
request that has finished is taken as a victim."""


def _ahead(seed):
    rng = np.random.default_rng(seed)
    words = {"tightness": TIGHTNESS[seed % 3 if seed % 2 else 0], "admission": "fcfs"}
    case = random_case(rng, **words, caching=seed % 7 != 0, staggered=False)
    return replace(case, config=replace(case.config, async_scheduling=True))


@pytest.fixture(scope="module")
def ahead(engine):
    """Random runs on vLLM's async scheduler: (seed, rows)."""
    found = []
    for seed in AHEAD:
        case = _ahead(seed)
        run = engine.run(case.workload, case.prompts, case.guess, case.plan, case.config)
        found.append((seed, run.rows))
    return found


def _parted(ahead):
    return {seed: why for seed, rows in ahead if (why := _difference(_ahead(seed), rows))}


def _difference(case, rows):
    told = predicted(case.workload, case.guess, case.plan, case.config)
    return first_difference(told, rows)


def test_async_scheduling_is_that_of_vllm(ahead, engine):
    """Every step is equal, with preemptions; and the engine serves others afterwards as before."""
    assert not _parted(ahead)
    assert sum(len(row.preempted) for _, rows in ahead for row in rows) > 100
    case = _case(0)
    run = engine.run(case.workload, case.prompts, case.guess, case.plan, case.config)
    assert first_difference(_simulated(0), run.rows) is None


@pytest.mark.parametrize("name", ["_label", "_leave", "_preempt", "_serve_running"])
def test_each_rule_of_async_scheduling_matters(ahead, monkeypatch, name):
    """As without async scheduling in one respect: some run parts from vLLM's."""
    monkeypatch.delattr(AsyncReference, name)
    for seed, rows in ahead:
        try:
            if _difference(_ahead(seed), rows):
                return
        except (ConservationError, OrderError, KeyError, IndexError, ValueError):
            return
    pytest.fail(f"no run noticed: {name}")


def test_async_scheduling_has_its_limits_here(engine):
    """No arrivals and no orders that are asked: refused, and the engine goes on."""
    case = _ahead(1)
    for change, fault in (({"arrivals": True}, ValueError), ({}, OrderError)):
        config = replace(case.config, **change)
        plan = Moody() if fault is OrderError else case.plan
        with pytest.raises(fault, match="async scheduling"):
            engine.run(case.workload, case.prompts, case.guess, plan, config)


def _one(prompt_tokens, output_tokens):
    prompts = [[7] * prompt_tokens]
    pool = RequestPool.from_tokens(prompts, 32)
    return Workload.of(pool, [output_tokens], "one"), prompts


def test_what_does_not_fit_is_refused_and_the_engine_goes_on(engine):
    """A refusal costs nothing: the next run is served by the same process."""
    workload, prompts = _one(400, 60)
    plan, small = OneEnded(np.array([0])), EngineConfig(equal_steps(64), 8, 64, 4)
    with pytest.raises(ValueError, match="460 tokens cannot fit"):
        engine.run(workload, prompts, oracle(workload), plan, small)
    wide = EngineConfig(equal_steps(64), 1000, 64, 4)
    with pytest.raises(ValueError, match="kv_blocks = 1000: the engine has 512"):
        engine.run(workload, prompts, oracle(workload), plan, wide)
    fair = EngineConfig(equal_steps(64), 20, 64, 4)
    assert len(engine.run(workload, prompts, oracle(workload), plan, fair).rows) == 7 + 59


def test_killed_while_running_is_one_message_and_no_orphan():
    """SIGKILL in the middle of a run: the run fails, the process is gone, the caller lives."""
    need("vllm")
    workload, prompts = _one(64, 3000)
    config = EngineConfig(equal_steps(64), 512, 64, 4)
    with VllmEngine(Sizes(dummy_named("tiny"))) as engine:
        pid = engine.process.pid
        threading.Timer(1.0, os.kill, (pid, signal.SIGKILL)).start()
        began = time.monotonic()
        with pytest.raises(VllmError, match="was killed"):
            engine.run(workload, prompts, oracle(workload), OneEnded(np.array([0])), config)
        assert time.monotonic() - began < 30
    assert not os.path.exists(f"/proc/{pid}")


def test_out_of_memory_is_said():
    """An engine whose KV cache exceeds the bound on its memory does not start, and none stays."""
    need("vllm")
    sizes = Sizes(dummy_named("small"), kv_blocks=65536, memory_mib=1500)
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    before = set(children.read_text().split())
    with pytest.raises(VllmError, match=r"memory|killed"):
        VllmEngine(sizes)
    assert set(children.read_text().split()) <= before
