"""Kernels that find candidates and admit them."""

from __future__ import annotations

import numba
import numpy as np

from policies.ordering.base import NEW, NOT_NOW, PREEMPTED, RUNNING
from policies.ordering.dual_scan import (
    MICRO,
    choose_side,
    grown,
    prefill_budget,
    shares_of,
    steps_to_credit,
    with_room,
)
from serving.engine import state as s
from serving.engine.blocks import share
from serving.engine.peak import joins, peak_with
from serving.engine.problem import Problem
from serving.engine.schedule import blocks_for, book, prefix_id, reserve_of, schedule
from serving.engine.state import Blocks, Limits, Run, Scan

NEED_ANSWER = -(1 << 62)  # the answer must come from Python


@numba.njit(cache=True)
def settle(run: Run, answer: int) -> None:
    """Make the answer the candidate; below NOT_NOW it says in how many steps to ask again."""
    c = run.c
    waits = answer < NOT_NOW
    c[s.ASK_AGAIN_AT] = c[s.STEPS] + NOT_NOW - answer if waits else s.NEVER
    c[s.CANDIDATE] = NOT_NOW if waits else answer


@numba.njit(cache=True)
def _first_new(run: Run, sequence: np.ndarray) -> int:
    """Return the place of the first new request, or past the right end; LEFT passes the old."""
    c = run.c
    while c[s.LEFT] <= c[s.RIGHT] and run.status[sequence[c[s.LEFT]]] > NEW:
        c[s.LEFT] += 1
    i = int(c[s.LEFT])
    while i <= c[s.RIGHT] and run.status[sequence[i]] != NEW:
        i += 1
    return i


@numba.njit(cache=True)
def _last_new(run: Run, sequence: np.ndarray) -> int:
    """Return the place of the last new request, or before the left end; RIGHT passes the old."""
    c = run.c
    while c[s.LEFT] <= c[s.RIGHT] and run.status[sequence[c[s.RIGHT]]] > NEW:
        c[s.RIGHT] -= 1
    i = int(c[s.RIGHT])
    while i >= c[s.LEFT] and run.status[sequence[i]] != NEW:
        i -= 1
    return i


@numba.njit(cache=True)
def _two_ended(problem: Problem, run: Run, scan: Scan, limits: Limits) -> int:
    """Return the request of the side whose turn it is; see `policies.ordering.dual_scan`."""
    c = run.c
    i, j = _first_new(run, scan.sequence), _last_new(run, scan.sequence)
    if i > j:
        return NOT_NOW
    capacity = float(limits.kv_blocks * problem.block_tokens)
    left, right = int(scan.sequence[i]), int(scan.sequence[j])
    ends = (scan.density[left], scan.density[right])
    shares = shares_of(capacity, ends, scan.root_density, scan.fixed_left)
    paced = scan.output.size > 0
    if paced:
        elapsed = c[s.STEPS] - c[s.LAST_CONSULT] if c[s.LAST_CONSULT] >= 0 else 0
        fresh = c[s.LAST_CONSULT] < 0
        for side, r in ((0, left), (1, right)):
            budget = prefill_budget(shares[side], problem.prompt[r], scan.output[r])
            credit = grown(c[s.CREDIT_LEFT + side], c[s.BUDGET_LEFT + side], elapsed)
            c[s.CREDIT_LEFT + side] = budget if fresh else min(credit, budget)
            c[s.BUDGET_LEFT + side] = budget
        c[s.LAST_CONSULT] = c[s.STEPS]
    used = (c[s.USED_LEFT], c[s.USED_RIGHT])
    waiting = (scan.footprint[left], scan.footprint[right])
    room = with_room(shares, used, waiting)
    ready = (
        room[0] and (not paced or c[s.CREDIT_LEFT] > 0),
        room[1] and (not paced or c[s.CREDIT_RIGHT] > 0),
    )
    side = choose_side(shares, used, ready, c[s.N_RUNNING] == 0)
    c[s.CANDIDATE_SIDE] = side
    if side >= 0:
        return left if side == 0 else right
    if not paced:
        return NOT_NOW
    credits_ = (c[s.CREDIT_LEFT], c[s.CREDIT_RIGHT])
    return NOT_NOW - steps_to_credit(room, credits_, (c[s.BUDGET_LEFT], c[s.BUDGET_RIGHT]))


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
    begun = c[s.N_SETTLED] + c[s.N_RUNNING] + c[s.N_RESUMING]
    if begun + c[s.N_FUTURE] == run.status.size:
        return NOT_NOW
    if scan.kind == s.ADAPTIVE:
        return NEED_ANSWER
    if scan.kind == s.TWO_ENDED:
        return _two_ended(problem, run, scan, limits)
    return int(scan.sequence[_first_new(run, scan.sequence)])


@numba.njit(cache=True)
def next_candidate(problem: Problem, run: Run, scan: Scan, limits: Limits) -> int:
    """Return the candidate, asking for one if there is none; NEED_ANSWER if Python must."""
    c = run.c
    if c[s.CANDIDATE] == s.ASK:
        answer = _ask(problem, run, scan, limits)
        if answer == NEED_ANSWER:
            return NEED_ANSWER
        settle(run, answer)
    return c[s.CANDIDATE]


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
def take_in(problem: Problem, blocks: Blocks, run: Run, scan: Scan, r: int, hits: int) -> None:
    """Make r the last running request, with the blocks that it hits; tokens follow."""
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
            if scan.output.size > 0:
                c[s.CREDIT_LEFT + c[s.CANDIDATE_SIDE]] -= MICRO * problem.prompt[r]
    run.status[r] = RUNNING
    run.running[c[s.N_RUNNING]] = r
    c[s.N_RUNNING] += 1
    joins(run, r)
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
    if limits.predict_peak and c[s.N_RUNNING] > 0:
        excess = peak_with(problem, run, r) - limits.kv_blocks * problem.block_tokens
        if excess > 0:
            # The predicted peak falls by at most one token a step while all decode.
            c[s.RETRY_AT] = c[s.STEPS] + excess
            return False
    hits, idle = hit_blocks(problem, blocks, run, r)
    cached = hits * problem.block_tokens
    known = problem.prompt[r] + run.generated[r]
    tokens = min(known - cached, c[s.BUDGET])
    wanted = known if limits.reserve_prompt else cached + tokens
    if blocks_for(problem, wanted) - hits + idle > blocks.free[0]:
        return False
    take_in(problem, blocks, run, scan, r, hits)
    schedule(problem, blocks, run, r, tokens)
    return True


@numba.njit(cache=True)
def _most_urgent(run: Run, new: int) -> int:
    """Return which comes first in the plan: the new one or one that waits to resume.

    The most urgent of the latter becomes the last of the stack, where `take_in` takes it off.
    """
    top = run.c[s.N_RESUMING] - 1
    if top < 0:
        return new
    resuming, best = run.resuming, 0
    for i in range(1, top + 1):
        if run.place[resuming[i]] < run.place[resuming[best]]:
            best = i
    resuming[best], resuming[top] = resuming[top], resuming[best]
    r = int(resuming[top])
    return r if new == NOT_NOW or run.place[r] < run.place[new] else new


@numba.njit(cache=True)
def admit(problem: Problem, blocks: Blocks, run: Run, scan: Scan, limits: Limits) -> bool:
    """Admit while something fits; False if Python must name the candidate first."""
    c = run.c
    while c[s.BUDGET] > 0 and c[s.N_RUNNING] < limits.max_seqs:
        if run.place.size > 0:
            r = _most_urgent(run, next_candidate(problem, run, scan, limits))
        elif c[s.N_RESUMING] > 0:
            r = int(run.resuming[c[s.N_RESUMING] - 1])
        else:
            r = next_candidate(problem, run, scan, limits)
        if r == NEED_ANSWER:
            return False
        if r == NOT_NOW or not _try_admit(problem, blocks, run, scan, limits, r):
            break
    return True
