"""The batch engine compiled by numba, with skip-ahead. Rules: `serving.engine.reference`.

It gives the same numbers, request by request and nanosecond by nanosecond, as the reference;
tests compare them on random pools. An adaptive plan is asked from Python: the kernel returns,
the answer is filled in, and it goes on in the middle of its step.
"""

from __future__ import annotations

from typing import cast

import numba
import numpy as np

from policies.ordering.base import NEW, NOT_NOW, Adaptive, BatchView, OneEnded, Plan, TwoEnded
from serving.engine import state as s
from serving.engine.admit import admit, hit_blocks, settle
from serving.engine.arrivals import idle, let_arrive
from serving.engine.blocks import sound
from serving.engine.config import EngineConfig
from serving.engine.jump import finish_step, jump, see_finished
from serving.engine.problem import Problem
from serving.engine.result import ConservationError, EngineResult, OrderError, Totals
from serving.engine.schedule import serve_running
from serving.engine.series import finished_series
from serving.engine.sglang import decode_all, go_on_with_chunk, prefill_new
from serving.engine.state import Blocks, Limits, Run, Scan
from sim.gpu.step_cost import StepCosts

DONE, NEED_CANDIDATE, STALLED, UNSOUND = 0, 1, 2, 3
CHECK_EVERY_STEPS = 8192


@numba.njit(cache=True)
def _begin_step(problem: Problem, blocks: Blocks, run: Run, scan: Scan, limits: Limits) -> None:
    c = run.c
    c[s.BUDGET] = limits.max_batched_tokens
    c[s.TOKENS] = 0
    c[s.PREFILL_TOKENS] = 0
    c[s.PREFILLS] = 0
    c[s.PAIRS] = 0
    c[s.KV_TOKENS] = 0
    c[s.DECODING] = 0
    c[s.EVENTS] = 0
    c[s.PREEMPTED_NOW] = 0
    c[s.RETRY_AT] = s.NEVER
    let_arrive(problem, run)
    if c[s.CANDIDATE] == NOT_NOW and c[s.STEPS] >= c[s.ASK_AGAIN_AT]:
        c[s.CANDIDATE] = s.ASK
    if limits.sglang:
        go_on_with_chunk(problem, blocks, run)
    else:
        serve_running(problem, blocks, run, scan)
    c[s.IN_ADMISSION] = 1


@numba.njit(cache=True)
def _fill(problem: Problem, blocks: Blocks, run: Run, scan: Scan, limits: Limits) -> bool:
    """Give the step the rest of its work; False if Python must name a candidate first."""
    c = run.c
    if not limits.sglang:
        return c[s.PREEMPTED_NOW] != 0 or admit(problem, blocks, run, scan, limits)
    if not prefill_new(problem, blocks, run, scan, limits):
        return False
    if c[s.TOKENS] == 0:
        decode_all(problem, blocks, run, scan)
    return True


@numba.njit(cache=True)
def _may_jump(run: Run, limits: Limits) -> bool:
    """Whether the steps ahead are alike; under SGLang's rules only when nothing waits."""
    c = run.c
    quiet = c[s.EVENTS] == 0 and c[s.DECODING] == c[s.N_RUNNING] == c[s.TOKENS]
    all_run = c[s.N_SETTLED] + c[s.N_RUNNING] == run.status.size
    return limits.skip and quiet and (all_run or not limits.sglang)


@numba.njit(cache=True)
def _advance(
    problem: Problem, blocks: Blocks, run: Run, scan: Scan, limits: Limits, costs: StepCosts
) -> int:
    """Run until all is settled, Python is needed, or something is wrong."""
    c = run.c
    while c[s.N_SETTLED] < run.status.size:
        if c[s.IN_ADMISSION] == 0:
            _begin_step(problem, blocks, run, scan, limits)
        if not _fill(problem, blocks, run, scan, limits):
            return NEED_CANDIDATE
        c[s.IN_ADMISSION] = 0
        if c[s.N_RUNNING] == 0:
            if not idle(problem, run):
                return STALLED
            continue
        if c[s.TOKENS] == 0 and c[s.ASYNC] != 0:  # what runs has finished; it is seen to have now
            see_finished(problem, blocks, run, scan)
            continue
        finish_step(problem, blocks, run, scan, costs)
        if _may_jump(run, limits):
            jump(problem, blocks, run, scan, costs)
        if c[s.STEPS] >= c[s.NEXT_CHECK]:
            c[s.NEXT_CHECK] = c[s.STEPS] + CHECK_EVERY_STEPS
            if not sound(blocks):
                return UNSOUND
    return DONE if sound(blocks) else UNSOUND


def _scan(plan: Plan, n: int) -> Scan:
    """Return the plan as arrays, those of a two-ended one indexed by request."""
    never = np.zeros(n, np.int64)
    if isinstance(plan, TwoEnded):
        density, footprint = np.zeros(n), np.zeros(n, np.int64)
        density[plan.sequence] = plan.density
        footprint[plan.sequence] = plan.footprint_tokens
        sequence = np.ascontiguousarray(plan.sequence, np.int64)
        output = np.zeros(0)
        if plan.output_tokens is not None:
            output = np.zeros(n)
            output[plan.sequence] = plan.output_tokens
        if plan.relocate_at is not None:
            never[plan.sequence] = plan.relocate_at
        root = float(plan.root_density)
        fixed = -1.0 if plan.fixed_left_share is None else float(plan.fixed_left_share)
        return Scan(s.TWO_ENDED, sequence, density, footprint, root, output, never, fixed)
    empty = np.zeros(n, np.int64)
    if isinstance(plan, OneEnded):
        sequence = np.ascontiguousarray(plan.sequence, np.int64)
        return Scan(s.ONE_ENDED, sequence, np.zeros(n), empty, 0.0, np.zeros(0), never, -1.0)
    return Scan(s.ADAPTIVE, empty, np.zeros(n), empty, 0.0, np.zeros(0), never, -1.0)


def _view(problem: Problem, blocks: Blocks, run: Run) -> BatchView:
    def read_only(array: np.ndarray) -> np.ndarray:
        view = array.view()
        view.setflags(write=False)
        return view

    return BatchView(
        time_ns=int(run.c[s.MAKESPAN_NS]),
        step=int(run.c[s.STEPS]),
        status=read_only(run.status),
        running=read_only(run.running[: run.c[s.N_RUNNING]]),
        context_tokens=read_only(run.computed),
        generated_tokens=read_only(run.generated),
        free_blocks=int(blocks.free[0]),
        total_blocks=blocks.users.size,
        budget_tokens=int(run.c[s.BUDGET]),
        cached_tokens=lambda r: hit_blocks(problem, blocks, run, r)[0] * problem.block_tokens,
    )


def _answer(plan: Adaptive, problem: Problem, blocks: Blocks, run: Run) -> int:
    answer = int(plan.next(_view(problem, blocks, run)))
    if answer >= 0 and not (answer < run.status.size and run.status[answer] == NEW):
        raise OrderError(f"the order names request {answer}, which is not new")
    return answer


def run_fast(
    problem: Problem, config: EngineConfig, plan: Plan, *, skip: bool = True
) -> EngineResult:
    """Run the plan; `skip` False goes step by step.

    Raises:
        OrderError: the plan stalls an idle engine or names a request that is not new.
        ConservationError: the engine lost something.
    """
    place = np.empty(0, np.int64)
    if config.priority and isinstance(plan, OneEnded):
        place = np.argsort(plan.sequence)
    run = s.new_run(problem, config, place)
    blocks = s.new_blocks(config.kv_blocks, problem.ids)
    scan = _scan(plan, problem.prompt.size)
    limits = Limits(
        config.kv_blocks,
        config.max_batched_tokens,
        config.max_seqs,
        config.kv_reserve > 0,
        config.predict_peak,
        config.reserve_prompt,
        config.rules == "sglang",
        skip,
    )
    while (code := _advance(problem, blocks, run, scan, limits, config.costs)) == NEED_CANDIDATE:
        adaptive = cast(Adaptive, plan)  # no other kind asks
        settle(run, _answer(adaptive, problem, blocks, run))
    if code == STALLED:
        raise OrderError("the order admits nothing although nothing runs")
    if code == UNSOUND:
        raise ConservationError("KV blocks: used + free != total")
    totals = Totals(*map(int, run.c[: s.N_RUNNING]))
    series = finished_series(run.series)
    columns = (run.status, run.first_ns, run.finish_ns, run.hits, run.preempted)
    result = EngineResult(*columns, totals, run.what_if_ns, series)
    result.check_conservation(problem)
    return result
