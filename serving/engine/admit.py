"""Kernels that find candidates and admit them."""

from __future__ import annotations

import numba
import numpy as np

from policies.ordering.base import NEW, NOT_NOW, PREEMPTED, RUNNING
from policies.ordering.dual_scan import choose_side, split_memory
from serving.engine import state as s
from serving.engine.blocks import share
from serving.engine.problem import Problem
from serving.engine.schedule import blocks_for, book, prefix_id, reserve_of, schedule
from serving.engine.state import Blocks, Limits, Run, Scan

OUTSIDE = -3  # the answer must come from Python


@numba.njit(cache=True)
def _from_left(run: Run, sequence: np.ndarray, right: int) -> None:
    c = run.c
    while c[s.LEFT] <= right and run.status[sequence[c[s.LEFT]]] != NEW:
        c[s.LEFT] += 1


@numba.njit(cache=True)
def _two_ended(problem: Problem, run: Run, scan: Scan, limits: Limits) -> int:
    """Return the request of the side whose turn it is; see `policies.ordering.dual_scan`."""
    c = run.c
    _from_left(run, scan.sequence, c[s.RIGHT])
    while c[s.LEFT] <= c[s.RIGHT] and run.status[scan.sequence[c[s.RIGHT]]] != NEW:
        c[s.RIGHT] -= 1
    if c[s.LEFT] > c[s.RIGHT]:
        return NOT_NOW
    capacity = float(limits.kv_blocks * problem.block_tokens)
    left, right = int(scan.sequence[c[s.LEFT]]), int(scan.sequence[c[s.RIGHT]])
    shares = split_memory(capacity, scan.density[left], scan.density[right], scan.root_density)
    side = choose_side(
        shares[0],
        shares[1],
        c[s.USED_LEFT],
        c[s.USED_RIGHT],
        scan.footprint[left],
        scan.footprint[right],
        c[s.N_RUNNING] == 0,
    )
    c[s.CANDIDATE_SIDE] = side
    if side == NOT_NOW:
        return NOT_NOW
    return left if side == 0 else right


@numba.njit(cache=True)
def _ask(problem: Problem, run: Run, scan: Scan, limits: Limits) -> int:
    """The sample first, then a barrier until it is done, then the plan."""
    c = run.c
    head = problem.run_first
    while c[s.HEAD] < head.size and run.status[head[c[s.HEAD]]] != NEW:
        c[s.HEAD] += 1
    if c[s.HEAD] < head.size:
        return int(head[c[s.HEAD]])
    if c[s.HEAD_LEFT] > 0:
        return NOT_NOW
    if c[s.N_SETTLED] + c[s.N_RUNNING] + c[s.N_RESUMING] == run.status.size:
        return NOT_NOW
    if scan.kind == s.ADAPTIVE:
        return OUTSIDE
    if scan.kind == s.TWO_ENDED:
        return _two_ended(problem, run, scan, limits)
    _from_left(run, scan.sequence, run.status.size - 1)
    return int(scan.sequence[c[s.LEFT]])


@numba.njit(cache=True)
def hit_blocks(problem: Problem, blocks: Blocks, run: Run, r: int) -> tuple[int, int]:
    """Return (blocks hit, those of them that nobody uses)."""
    known = problem.prompt[r] + run.generated[r]
    hits, idle = 0, 0
    for j in range((known - 1) // problem.block_tokens):
        block = blocks.holder[prefix_id(problem, r, j)]
        if block < 0:
            break
        hits += 1
        idle += blocks.users[block] == 0
    return hits, idle


@numba.njit(cache=True)
def _take_in(problem: Problem, blocks: Blocks, run: Run, scan: Scan, r: int, hits: int) -> None:
    c = run.c
    cached = hits * problem.block_tokens
    if run.status[r] == PREEMPTED:
        c[s.N_RESUMING] -= 1
        c[s.RESUME_HITS] += cached
    else:
        run.hits[r] = cached
        c[s.FIRST_HITS] += cached
        if scan.kind == s.TWO_ENDED and not run.in_head[r]:
            run.side[r] = c[s.CANDIDATE_SIDE]
    run.status[r] = RUNNING
    run.running[c[s.N_RUNNING]] = r
    c[s.N_RUNNING] += 1
    run.seat[r] = run.free_seats[run.free_seats.size - c[s.N_RUNNING]]
    for j in range(hits):
        block = blocks.holder[prefix_id(problem, r, j)]
        share(blocks, block)
        run.table[run.seat[r], j] = block
    run.held[r] = hits
    run.computed[r] = cached
    run.prefill_until[r] = problem.prompt[r] + run.generated[r]
    c[s.RESERVED] += reserve_of(problem, run, r)
    book(run, scan, r, 1)
    c[s.CANDIDATE] = s.ASK
    c[s.EVENTS] += 1


@numba.njit(cache=True)
def _try_admit(
    problem: Problem, blocks: Blocks, run: Run, scan: Scan, limits: Limits, r: int
) -> bool:
    c = run.c
    if limits.reserving and c[s.N_RUNNING] > 0:
        capacity = limits.kv_blocks * problem.block_tokens
        if c[s.RESERVED] + reserve_of(problem, run, r) > capacity:
            return False
    hits, idle = hit_blocks(problem, blocks, run, r)
    cached = hits * problem.block_tokens
    tokens = min(problem.prompt[r] + run.generated[r] - cached, c[s.BUDGET])
    if blocks_for(problem, cached + tokens) - hits + idle > blocks.free[0]:
        return False
    _take_in(problem, blocks, run, scan, r, hits)
    schedule(problem, blocks, run, r, tokens)
    return True


@numba.njit(cache=True)
def admit(problem: Problem, blocks: Blocks, run: Run, scan: Scan, limits: Limits) -> bool:
    """Admit while something fits; False if Python must name the candidate first."""
    c = run.c
    while c[s.BUDGET] > 0 and c[s.N_RUNNING] < limits.max_seqs:
        if c[s.N_RESUMING] > 0:
            r = int(run.resuming[c[s.N_RESUMING] - 1])
        else:
            if c[s.CANDIDATE] == s.ASK:
                answer = _ask(problem, run, scan, limits)
                if answer == OUTSIDE:
                    return False
                c[s.CANDIDATE] = answer
            r = c[s.CANDIDATE]
        if r == NOT_NOW or not _try_admit(problem, blocks, run, scan, limits, r):
            break
    return True
