"""Kernels that end a step, and that jump over steps in which nothing but decoding happens.

A step without admission, completion, preemption or prefill is followed by steps of the same
shape until a request completes or arrives or the free blocks run out: every running request
gains one token per step, and a candidate that did not fit still does not, because free blocks
only fall and each eviction from its cached prefix lengthens what it has to compute by as much.
So k such steps cost one pass over the requests and an O(1) loop that adds up the same whole
nanoseconds. Answers that hold for some steps only, and predicted peaks, say when to stop.
"""

from __future__ import annotations

import numba
import numpy as np

from serving.engine import state as s
from serving.engine.arrivals import next_arrival_ns
from serving.engine.problem import Problem
from serving.engine.schedule import (
    give_block,
    label_full,
    label_late,
    leave_finished,
    relocate,
    reserve_of,
    stay_finished,
)
from serving.engine.series import add_step
from serving.engine.state import Blocks, Run, Scan
from sim.gpu.step_cost import Batch, StepCosts, add_what_if, step_cost


@numba.njit(cache=True)
def _count_step(blocks: Blocks, run: Run, costs: StepCosts, batch: Batch, free: int) -> None:
    c = run.c
    compute, memory, ns = step_cost(costs, batch)
    c[s.SEEN_NS] = c[s.MAKESPAN_NS] if c[s.ASYNC] else c[s.MAKESPAN_NS] + ns
    c[s.MAKESPAN_NS] += ns
    c[s.STEPS] += 1
    c[s.COMPUTE_NS] += compute
    c[s.MEMORY_NS] += memory
    c[s.SCHEDULED] += batch.tokens
    c[s.RUNNING_STEPS] += c[s.N_RUNNING]
    add_what_if(costs, batch, run.what_if_ns)
    used = blocks.users.size - free
    add_step(run.series, ns, compute, memory, c[s.N_RUNNING], used)


@numba.njit(cache=True)
def _complete(problem: Problem, blocks: Blocks, run: Run, scan: Scan) -> None:
    """Let finished requests leave, in running order; with async scheduling, a step later."""
    c = run.c
    total, kept = c[s.N_RUNNING], 0
    for i in range(total):
        r = run.running[i]
        done = run.generated[r] == problem.output[r]
        if done and (run.finish_ns[r] >= 0 or c[s.ASYNC] == 0):
            leave_finished(problem, blocks, run, scan, r)
            continue
        if done:
            stay_finished(run, r)
        run.running[kept] = r
        kept += 1


@numba.njit(cache=True)
def see_finished(problem: Problem, blocks: Blocks, run: Run, scan: Scan) -> None:
    """Let what finished leave at once, for there is no step to schedule meanwhile."""
    label_late(problem, blocks, run)
    _complete(problem, blocks, run, scan)
    run.c[s.SEEN_NS] = run.c[s.MAKESPAN_NS]


@numba.njit(cache=True)
def finish_step(problem: Problem, blocks: Blocks, run: Run, scan: Scan, costs: StepCosts) -> None:
    """Advance the clock, emit tokens, let finished requests leave."""
    c = run.c
    label_late(problem, blocks, run)
    done, sampled = _emit(problem, run, scan)
    batch = Batch(
        c[s.TOKENS],
        c[s.PREFILL_TOKENS],
        c[s.PREFILLS],
        c[s.PAIRS],
        c[s.DECODING],
        c[s.KV_TOKENS],
        sampled,
    )
    _count_step(blocks, run, costs, batch, blocks.free[0])
    _note_first_tokens(run)
    if done or c[s.N_LEAVING] > 0:
        _complete(problem, blocks, run, scan)


@numba.njit(cache=True)
def _emit(problem: Problem, run: Run, scan: Scan) -> tuple[bool, int]:
    """Give an output token to each request whose known tokens are computed.

    Returns:
        (whether one got its last, how many got one).
    """
    c, running, computed, generated = run.c, run.running, run.computed, run.generated
    prompt, output, target, pending = problem.prompt, problem.output, problem.target, run.pending
    done, reserved, sampled = False, 0, 0
    for i in range(c[s.N_RUNNING]):
        r = running[i]
        known = prompt[r] + generated[r]
        if pending[r] == 0 or computed[r] < known:
            pending[r] = 0
            continue
        pending[r] = 0
        reserved += known + 1 > target[r]
        generated[r] += 1
        sampled += 1
        if generated[r] == scan.relocate_at[r]:
            relocate(problem, run, scan, r)
        done |= generated[r] == output[r]
    c[s.RESERVED] += reserved
    return done, sampled


@numba.njit(cache=True)
def _note_first_tokens(run: Run) -> None:
    """Write down when the step ended for requests that got their first token in it."""
    c, generated, first = run.c, run.generated, run.first_ns
    for i in range(c[s.N_RUNNING]):
        r = run.running[i]
        if generated[r] == 1 and first[r] < 0:
            first[r] = c[s.MAKESPAN_NS]


@numba.njit(cache=True)
def _classes(problem: Problem, run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Group running requests by the step, modulo block size, in which they need a block.

    Returns:
        (offsets, members): class a owns members[offsets[a] : offsets[a + 1]], running order.
    """
    size, b = problem.block_tokens, run.c[s.N_RUNNING]
    offsets = np.zeros(size + 1, np.int64)
    for i in range(b):
        offsets[-run.computed[run.running[i]] % size + 1] += 1
    for a in range(size):
        offsets[a + 1] += offsets[a]
    place = offsets[:size].copy()
    members = np.empty(b, np.int64)
    for i in range(b):
        a = -run.computed[run.running[i]] % size
        members[place[a]] = run.running[i]
        place[a] += 1
    return offsets, members


@numba.njit(cache=True)
def jump(problem: Problem, blocks: Blocks, run: Run, scan: Scan, costs: StepCosts) -> None:
    """Do all steps up to the next completion, arrival or exhaustion of blocks at once."""
    c, size = run.c, problem.block_tokens
    b = c[s.N_RUNNING]
    kv, limit = b, np.int64(1) << 62
    for i in range(b):
        r = run.running[i]
        kv += run.computed[r]
        limit = min(limit, problem.output[r] - run.generated[r])
    offsets, members = _classes(problem, run)
    free, k = blocks.free[0], 0
    stop = min(limit, min(c[s.ASK_AGAIN_AT], c[s.RETRY_AT]) - c[s.STEPS])
    next_arrival = next_arrival_ns(problem, run)
    while k < stop and c[s.SEEN_NS] < next_arrival:
        a = k % size
        free -= offsets[a + 1] - offsets[a]
        if free < 0:
            break
        _count_step(blocks, run, costs, Batch(b, 0, 0, 0, b, kv, b), free)
        for i in range(offsets[a], offsets[a + 1]):
            give_block(blocks, run, members[i])
        kv += b
        k += 1
    c[s.JUMPED_STEPS] += k
    if k > 0:
        _book_tokens(problem, blocks, run, scan, k)
    if k == limit:
        _complete(problem, blocks, run, scan)


@numba.njit(cache=True)
def _book_tokens(problem: Problem, blocks: Blocks, run: Run, scan: Scan, k: int) -> None:
    c = run.c
    for i in range(c[s.N_RUNNING]):
        r = run.running[i]
        before = int(run.computed[r])
        c[s.RESERVED] -= reserve_of(problem, run, r)
        run.computed[r] = before + k
        run.generated[r] += k
        if run.generated[r] - k < scan.relocate_at[r] <= run.generated[r]:
            relocate(problem, run, scan, r)
        c[s.RESERVED] += reserve_of(problem, run, r)
        label_full(problem, blocks, run, r, before - (c[s.ASYNC] != 0), True)
