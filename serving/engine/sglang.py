"""Kernels of a step under SGLang's rules; the readable form is `reference_sglang`."""

from __future__ import annotations

import numba

from policies.ordering.base import NOT_NOW, PREEMPTED
from serving.engine import state as s
from serving.engine.admit import NEED_ANSWER, hit_blocks, next_candidate, take_in
from serving.engine.problem import Problem
from serving.engine.schedule import blocks_for, leave_batch, schedule
from serving.engine.sglang_rules import (
    MICRO,
    RETRACT_STEPS,
    decayed,
    ratio_after_retraction,
    still_to_come,
)
from serving.engine.state import Blocks, Limits, Run, Scan


@numba.njit(cache=True)
def go_on_with_chunk(problem: Problem, blocks: Blocks, run: Run) -> None:
    """Compute the next chunk of a prompt that was begun, and note what runs already."""
    c = run.c
    c[s.PROMISED] = 0
    c[s.N_BEFORE] = c[s.N_RUNNING]
    for i in range(c[s.N_RUNNING]):
        r = int(run.running[i])
        if run.computed[r] < run.prefill_until[r]:
            left = problem.prompt[r] + run.generated[r] - run.computed[r]
            schedule(problem, blocks, run, r, min(left, c[s.BUDGET]))


@numba.njit(cache=True)
def _known(problem: Problem, run: Run, r: int) -> int:
    return int(problem.prompt[r] + run.generated[r])


@numba.njit(cache=True)
def _expected_to_fit(
    problem: Problem, blocks: Blocks, run: Run, r: int, hits: int, idle: int, wanted: int
) -> bool:
    c, size = run.c, problem.block_tokens
    free = blocks.free[0] - idle
    if blocks_for(problem, _known(problem, run, r)) - hits > free:
        return False
    if c[s.N_RUNNING] == 0:
        return True
    kept = 0
    for i in range(c[s.N_BEFORE]):
        other = run.running[i]
        kept += still_to_come(int(problem.target[other]), _known(problem, run, other))
    room = free * size - c[s.RATIO] * kept // MICRO - c[s.PROMISED]
    return _known(problem, run, r) - hits * size + wanted < room


@numba.njit(cache=True)
def prefill_new(problem: Problem, blocks: Blocks, run: Run, scan: Scan, limits: Limits) -> bool:
    """Begin waiting requests while they fit; False if Python must name the next one first."""
    c = run.c
    while c[s.BUDGET] > 0 and c[s.N_RUNNING] < limits.max_seqs:
        r = next_candidate(problem, run, scan, limits)
        if r == NEED_ANSWER:
            return False
        begun = c[s.N_SETTLED] + c[s.N_RUNNING] + c[s.N_RESUMING] + c[s.N_FUTURE]
        none_new = begun == run.status.size or c[s.N_RUNNING] == 0
        retracted = r == NOT_NOW and none_new and c[s.N_RESUMING] > 0
        if retracted:
            r = int(run.resuming[0])
        if r == NOT_NOW:
            break
        hits, idle = hit_blocks(problem, blocks, run, r)
        wanted = still_to_come(int(problem.target[r]), _known(problem, run, r))
        if not _expected_to_fit(problem, blocks, run, r, hits, idle, wanted):
            break
        if retracted:
            for i in range(1, c[s.N_RESUMING]):
                run.resuming[i - 1] = run.resuming[i]
        take_in(problem, blocks, run, scan, r, hits)
        left = _known(problem, run, r) - run.computed[r]
        schedule(problem, blocks, run, r, min(left, c[s.BUDGET]))
        c[s.PROMISED] += wanted
    return True


@numba.njit(cache=True)
def _blocks_needed(problem: Problem, run: Run) -> int:
    needed = 0
    for i in range(run.c[s.N_RUNNING]):
        r = run.running[i]
        needed += blocks_for(problem, int(run.computed[r]) + 1) > run.held[r]
    return int(needed)


@numba.njit(cache=True)
def decode_all(problem: Problem, blocks: Blocks, run: Run, scan: Scan) -> None:
    """Decode a token of every running request, after retracting some if blocks lack."""
    c = run.c
    if _blocks_needed(problem, run) > blocks.free[0]:
        _retract(problem, blocks, run, scan)
    else:
        c[s.RATIO] = decayed(c[s.RATIO])
    for i in range(c[s.N_RUNNING]):
        schedule(problem, blocks, run, int(run.running[i]), 1)


@numba.njit(cache=True)
def _victim(problem: Problem, run: Run) -> int:
    """Return the place with the fewest output tokens, then the longest prompt, then the latest."""
    best = 0
    for i in range(1, run.c[s.N_RUNNING]):
        r, b = run.running[i], run.running[best]
        if run.generated[r] != run.generated[b]:
            if run.generated[r] < run.generated[b]:
                best = i
        elif problem.prompt[r] >= problem.prompt[b]:
            best = i
    return best


@numba.njit(cache=True)
def _retract(problem: Problem, blocks: Blocks, run: Run, scan: Scan) -> None:
    c, size = run.c, problem.block_tokens
    while c[s.N_RUNNING] > 1 and (
        blocks.free[0] * size < RETRACT_STEPS * c[s.N_RUNNING]
        or _blocks_needed(problem, run) > blocks.free[0]
    ):
        place = _victim(problem, run)
        r = int(run.running[place])
        c[s.DROPPED] += run.computed[r]
        c[s.PREEMPTIONS] += 1
        run.preempted[r] += 1
        leave_batch(problem, blocks, run, scan, r)
        for i in range(place, c[s.N_RUNNING]):
            run.running[i] = run.running[i + 1]
        run.computed[r] = 0
        run.status[r] = PREEMPTED
        run.resuming[c[s.N_RESUMING]] = r
        c[s.N_RESUMING] += 1
    generated, expected = 0, 0
    for i in range(c[s.N_RUNNING]):
        r = run.running[i]
        generated += run.generated[r]
        expected += max(problem.target[r] - problem.prompt[r], run.generated[r])
    c[s.RATIO] = ratio_after_retraction(int(generated), c[s.N_RUNNING], int(expected))
