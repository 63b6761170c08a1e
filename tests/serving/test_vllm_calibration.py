"""Step costs: what a fit finds, what it ignores, and what an entry on disk may hold."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.engine.run import simulate
from serving.estimates import oracle
from serving.vllm.calibration import TERMS, StepFit, fit_steps, work_of
from serving.vllm.cases import ADMISSION, random_case
from serving.vllm.entry import costs_of_entry, entry_of, write_entry
from serving.vllm.entry_file import read_entry
from serving.vllm.judge import Calibration, Judgement
from serving.vllm.predicted import predicted
from serving.vllm.workloads import FITTED, JUDGED, SHAPES, pool_of
from sim.gpu.step_cost import Batch, step_cost

TRUE_NS = np.array([6e6, 2.6e5, 2.7e5, 120.0, 300.0, 500.0])


def _case(seed, **changes):
    words = {"tightness": "tight", "caching": True, "staggered": False}
    words |= {"admission": ADMISSION[seed % 3]} | changes
    return random_case(np.random.default_rng(seed), **words)


def _work(case):
    rows = predicted(case.workload, case.guess, case.plan, case.config)
    return rows, work_of(rows, case.workload)


@pytest.mark.parametrize("seed", range(6))
def test_work_adds_up_to_what_was_scheduled(seed):
    """Prefill and decode tokens are all tokens; distinct KV is at most what is read."""
    case = _case(seed)
    rows, work = _work(case)
    assert work[:, 1].sum() + work[:, 2].sum() == sum(t for r in rows for _, t, _ in r.scheduled)
    assert (work[:, 5] <= work[:, 4]).all()
    assert (work[:, 4] >= work[:, 2]).all()
    assert (work[:, 3] >= work[:, 1]).all()


@pytest.mark.parametrize("seed", range(4))
def test_work_is_the_batch_of_the_compiled_engine(seed):
    """Costs in whole ns per term, run through the fast engine, give the sum over the rows."""
    case = _case(seed, admission="fcfs")
    rows, work = _work(case)
    terms = dict(zip(TERMS, [1000.0, 30.0, 30.0, 7.0, 5.0, 0.0], strict=True))
    costs = costs_of_entry(terms, case.config.max_batched_tokens)
    config = case.config.__class__(
        costs,
        case.config.kv_blocks,
        case.config.max_batched_tokens,
        case.config.max_seqs,
        reserve_prompt=case.config.reserve_prompt,
    )
    result = simulate(case.workload, oracle(case.workload), case.plan, config)
    assert result.totals.makespan_ns == int((work @ np.array([*terms.values()])).sum())
    assert result.totals.steps == len(rows)


def _many():
    return np.concatenate([_work(_case(seed))[1] for seed in range(12)])


def test_a_fit_finds_what_made_the_times():
    work = _many()
    fit = fit_steps(work, np.rint(work @ TRUE_NS).astype(np.int64))
    assert fit.coefficients_ns == pytest.approx(TRUE_NS.tolist(), rel=0.02)
    assert fit.disturbed == 0


@pytest.mark.parametrize("share", [0.02, 0.05])
def test_disturbed_steps_do_not_move_a_fit(share):
    """A few steps that took ten times as long are left out; run times stay within 3 %."""
    work, rng = _many(), np.random.default_rng(0)
    clean = work @ TRUE_NS * rng.normal(1.0, 0.03, len(work))
    taken = np.where(rng.random(len(work)) < share, 10.0, 1.0) * clean
    fit = fit_steps(work, np.rint(taken).astype(np.int64))
    assert fit.disturbed > 0
    assert fit.predict_ns(work).sum() == pytest.approx(clean.sum(), rel=0.03)


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=20)
def test_coefficients_are_never_negative(seed):
    """Whatever the times are, no work takes time back, and prediction grows with work."""
    rng = np.random.default_rng(seed)
    work = rng.integers(0, 100, (40, len(TERMS))).astype(float)
    work[:, 0] = 1.0
    fit = fit_steps(work, rng.integers(1, 10**9, 40))
    assert min(fit.coefficients_ns) >= 0
    assert (fit.predict_ns(work + 1.0) >= fit.predict_ns(work)).all()


def test_without_sharing_the_last_term_is_nought():
    work = _many()
    fit = fit_steps(work, np.rint(work @ TRUE_NS).astype(np.int64), distinct=False)
    assert fit.coefficients_ns[-1] == 0.0
    assert len(fit.coefficients_ns) == len(TERMS)


def test_too_little_or_impossible_measurements_are_refused():
    with pytest.raises(ValueError, match="6 measured steps are too few for 6"):
        fit_steps(np.ones((6, 6)), np.ones(6, np.int64))
    with pytest.raises(ValueError, match="times must be positive"):
        fit_steps(np.ones((9, 6)), np.zeros(9, np.int64))


def test_judged_pools_are_none_that_was_fitted_to():
    assert not set(FITTED) & set(JUDGED)
    assert {*FITTED, *JUDGED} == set(SHAPES)
    for name in SHAPES:
        workload, prompts = pool_of(SHAPES[name], 32, 500, np.random.default_rng(1), 0.2)
        assert len(prompts) == len(workload.pool) >= 4
        assert [len(p) for p in prompts] == workload.pool.prompt_tokens.tolist()


def _found():
    fit = StepFit(tuple(TRUE_NS.tolist()), 90, 2)
    judged = (Judgement("mix", 9.0, 9.5, (10.0, 11.0, 9.0), 40),)
    return Calibration(fit, fit, judged, {"version": "0.32.0", "torch": "2", "threads": 1})


def test_an_entry_says_what_was_fitted_and_how_far_off(tmp_path):
    path = tmp_path / "new" / "cpu.json"
    entry = entry_of(_found(), "cpu", "small", "float32")
    write_entry(path, entry)
    assert entry["worst_error"] == pytest.approx(0.1)
    assert entry["judged"][0]["measured_s"] == [10.0, 11.0, 9.0]
    assert read_entry(path).terms == dict(zip(TERMS, TRUE_NS.tolist(), strict=True))
    assert [p.name for p in path.parent.iterdir()] == ["cpu.json"]


def test_costs_of_an_entry_are_its_terms():
    """A chunk of a prompt, decoding beside it: each term once."""
    terms = dict(zip(TERMS, [1000.0, 10.0, 25.0, 3.0, 2.0, 0.0], strict=True))
    batch = Batch(20, 15, 1, 200, 5, 400, 5)
    *_, ns = step_cost(costs_of_entry(terms, 64), batch)
    assert ns == 1000 + 15 * 10 + 5 * 25 + 3 * 200 + 2 * 400


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema 1 and unit ns"),
        ({"unit": "ms"}, "schema 1 and unit ns"),
        ({"terms_without_sharing": {"step": 1.0}}, "must hold step, prefill_token"),
        ({"terms_without_sharing": dict.fromkeys(TERMS, -1.0)}, r"\.step must be a number >= 0"),
        ({"terms_without_sharing": dict.fromkeys(TERMS, "1")}, r"\.step must be a number >= 0"),
        ({"terms_without_sharing": dict.fromkeys(TERMS, 1e999)}, r"\.step must be a number >= 0"),
    ],
)
def test_damaged_entries_are_refused(tmp_path, change, message):
    path = tmp_path / "entry.json"
    path.write_text(json.dumps(entry_of(_found(), "c", "small", "float32") | change))
    with pytest.raises(ValueError, match=message):
        read_entry(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "x" * (1 << 21)])
def test_what_is_no_entry_is_refused(tmp_path, text):
    path = tmp_path / "entry.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"entry\.json"):
        read_entry(path)
