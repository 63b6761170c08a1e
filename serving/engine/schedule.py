"""Kernels that give tokens and blocks to requests, and take them back."""

from __future__ import annotations

import numba

from policies.ordering.base import FINISHED, PREEMPTED
from serving.engine import state as s
from serving.engine.blocks import label, release, take
from serving.engine.peak import leaves
from serving.engine.problem import Problem
from serving.engine.state import Blocks, Run


@numba.njit(cache=True)
def prefix_id(problem: Problem, r: int, j: int) -> int:
    """Return the prefix id of block j of request r: shared for full prompt blocks, else own."""
    start, end = problem.block_offsets[r], problem.block_offsets[r + 1]
    if start + j < end:
        return int(problem.block_ids[start + j])
    return problem.own_base[r] + j - (end - start)


@numba.njit(cache=True)
def blocks_for(problem: Problem, tokens: int) -> int:
    """Return the blocks that hold `tokens`."""
    return (tokens + problem.block_tokens - 1) // problem.block_tokens


@numba.njit(cache=True)
def reserve_of(problem: Problem, run: Run, r: int) -> int:
    """Return the KV tokens counted for r by `kv_reserve`."""
    return max(problem.prompt[r] + run.generated[r], problem.target[r])


@numba.njit(cache=True)
def give_block(blocks: Blocks, run: Run, r: int) -> None:
    """Append an empty block to r's table."""
    run.table[run.seat[r], run.held[r]] = take(blocks)
    run.held[r] += 1


@numba.njit(cache=True)
def label_full(
    problem: Problem, blocks: Blocks, run: Run, r: int, before: int, decoding: bool
) -> None:
    """Label the blocks that became full since `before` computed tokens.

    With async scheduling the last token of decoding is not known yet: its block waits for
    `label_late`.
    """
    if not problem.prefix_caching:
        return
    known = run.computed[r] - (decoding and run.c[s.ASYNC] != 0)
    for j in range(before // problem.block_tokens, known // problem.block_tokens):
        label(blocks, run.table[run.seat[r], j], prefix_id(problem, r, j))


@numba.njit(cache=True)
def label_late(problem: Problem, blocks: Blocks, run: Run) -> None:
    """Label what the step before this one filled by decoding, now that its tokens are known."""
    if not problem.prefix_caching or run.c[s.ASYNC] == 0:
        return
    for i in range(run.c[s.N_RUNNING]):
        r = int(run.running[i])
        j = int(run.computed[r] - run.pending[r]) // problem.block_tokens - 1
        if j >= 0:
            label(blocks, run.table[run.seat[r], j], prefix_id(problem, r, j))


@numba.njit(cache=True)
def schedule(problem: Problem, blocks: Blocks, run: Run, r: int, tokens: int) -> None:
    """Give r its blocks and its part of the step."""
    c, before = run.c, run.computed[r]
    if before < run.prefill_until[r]:
        run.chunk[r] = tokens
        c[s.PREFILL_TOKENS] += tokens
        c[s.PREFILLS] += 1
        c[s.PAIRS] += tokens * before + tokens * (tokens + 1) // 2
    else:
        c[s.KV_TOKENS] += before + 1
        c[s.DECODING] += 1
    c[s.TOKENS] += tokens
    c[s.BUDGET] -= tokens
    run.computed[r] = before + tokens
    while run.held[r] < blocks_for(problem, run.computed[r]):
        give_block(blocks, run, r)
    label_full(problem, blocks, run, r, before, before >= run.prefill_until[r])
    run.pending[r] = 1


@numba.njit(cache=True)
def leave_batch(problem: Problem, blocks: Blocks, run: Run, scan: s.Scan, r: int) -> None:
    """Free r's blocks, seat and share of the accounts; the caller updates `running`."""
    c = run.c
    for j in range(run.held[r] - 1, -1, -1):
        release(blocks, run.table[run.seat[r], j])
    run.held[r] = 0
    run.free_seats[run.free_seats.size - c[s.N_RUNNING]] = run.seat[r]
    c[s.N_RUNNING] -= 1
    leaves(run, r)
    c[s.RESERVED] -= reserve_of(problem, run, r)
    book(run, scan, r, -1)
    c[s.CANDIDATE] = s.ASK
    c[s.EVENTS] += 1


@numba.njit(cache=True)
def leave_finished(problem: Problem, blocks: Blocks, run: Run, scan: s.Scan, r: int) -> None:
    """Let r, which has all its output, go for good; the caller updates `running`."""
    c = run.c
    if run.finish_ns[r] < 0:
        run.finish_ns[r] = c[s.MAKESPAN_NS]
    else:
        c[s.N_LEAVING] -= 1
    run.status[r] = FINISHED
    leave_batch(problem, blocks, run, scan, r)
    run.computed[r] = 0
    c[s.N_SETTLED] += 1
    c[s.HEAD_LEFT] -= run.in_head[r]


@numba.njit(cache=True)
def stay_finished(run: Run, r: int) -> None:
    """Note the end of r, which the scheduler will only see after the next step."""
    run.finish_ns[r] = run.c[s.MAKESPAN_NS]
    run.prefill_until[r] = s.NEVER  # what keeps it from decoding in place
    run.c[s.N_LEAVING] += 1
    run.c[s.EVENTS] += 1


@numba.njit(cache=True)
def book(run: Run, scan: s.Scan, r: int, sign: int) -> None:
    """Add or take r's footprint to or from the account of its side."""
    if run.side[r] == 0:
        run.c[s.USED_LEFT] += sign * scan.footprint[r]
    elif run.side[r] == 1:
        run.c[s.USED_RIGHT] += sign * scan.footprint[r]


@numba.njit(cache=True)
def relocate(problem: Problem, run: Run, scan: s.Scan, r: int) -> None:
    """Book an underestimated request of the left under the right, with what it holds now."""
    if run.side[r] == 0:
        book(run, scan, r, -1)
        run.side[r] = 1
        scan.footprint[r] = problem.prompt[r] + scan.relocate_at[r]
        book(run, scan, r, 1)


@numba.njit(cache=True)
def _victim(run: Run) -> int:
    """Return which of the running goes first: the tail, or the one whose place is last."""
    last = run.c[s.N_RUNNING] - 1
    if run.place.size == 0:
        return last
    worst = 0
    for i in range(1, last + 1):
        if run.place[run.running[i]] > run.place[run.running[worst]]:
            worst = i
    return worst


@numba.njit(cache=True)
def _take_back(run: Run, r: int) -> None:
    """Undo r's part of the step, if it has one."""
    c = run.c
    if run.pending[r] == 0:
        return
    tokens = 1
    if run.computed[r] > run.prefill_until[r]:
        c[s.KV_TOKENS] -= run.computed[r]
        c[s.DECODING] -= 1
    else:
        tokens = run.chunk[r]
        before = run.computed[r] - tokens
        c[s.PREFILL_TOKENS] -= tokens
        c[s.PREFILLS] -= 1
        c[s.PAIRS] -= tokens * before + tokens * (tokens + 1) // 2
    c[s.TOKENS] -= tokens
    c[s.BUDGET] += tokens
    run.computed[r] -= tokens
    run.pending[r] = 0


@numba.njit(cache=True)
def _preempt(problem: Problem, blocks: Blocks, run: Run, scan: s.Scan, at: int) -> int:
    """Preempt the running request at that place among them, and return it."""
    c = run.c
    r = int(run.running[at])
    for i in range(at, c[s.N_RUNNING] - 1):
        run.running[i] = run.running[i + 1]
    c[s.PREEMPTED_NOW] = 1
    if run.finish_ns[r] >= 0:
        leave_finished(problem, blocks, run, scan, r)
        return r
    _take_back(run, r)
    c[s.DROPPED] += run.computed[r]
    c[s.PREEMPTIONS] += 1
    run.preempted[r] += 1
    leave_batch(problem, blocks, run, scan, r)
    run.computed[r] = 0
    run.status[r] = PREEMPTED
    run.resuming[c[s.N_RESUMING]] = r
    c[s.N_RESUMING] += 1
    return r


@numba.njit(cache=True)
def _decode_in_place(problem: Problem, run: Run, first: int) -> int:
    """Decode running requests from place `first` on while none needs or fills a block.

    This is `schedule` for the common case, without a call per request: handing over the state
    costs more than the work. Returns the place of the first request that needs more care.
    """
    c, running, computed = run.c, run.running, run.computed
    prompt, generated, until, pending = (
        problem.prompt,
        run.generated,
        run.prefill_until,
        run.pending,
    )
    size, kv, i = problem.block_tokens, 0, first
    last = min(c[s.N_RUNNING], first + c[s.BUDGET])
    while i < last:
        r = running[i]
        before = computed[r]
        place = before % size
        one_left = before + 1 == prompt[r] + generated[r]
        if before < until[r] or not one_left or place == 0 or place + 1 == size:
            break
        kv += before + 1
        computed[r] = before + 1
        pending[r] = 1
        i += 1
    done = i - first
    c[s.KV_TOKENS] += kv
    c[s.DECODING] += done
    c[s.TOKENS] += done
    c[s.BUDGET] -= done
    return i


@numba.njit(cache=True)
def serve_running(problem: Problem, blocks: Blocks, run: Run, scan: s.Scan) -> None:
    """Give each running request its tokens, preempting others where blocks lack."""
    c = run.c
    i = _decode_in_place(problem, run, 0)
    while i < c[s.N_RUNNING] and c[s.BUDGET] > 0:
        r = int(run.running[i])
        if run.finish_ns[r] >= 0:  # leaves after this step
            i = _decode_in_place(problem, run, i + 1)
            continue
        tokens = min(problem.prompt[r] + run.generated[r] - run.computed[r], c[s.BUDGET])
        needed = blocks_for(problem, run.computed[r] + tokens) - run.held[r]
        while needed > blocks.free[0]:
            at = _victim(run)
            if _preempt(problem, blocks, run, scan, at) == r:
                return
            i -= at < i
        schedule(problem, blocks, run, r, tokens)
        i = _decode_in_place(problem, run, i + 1)
