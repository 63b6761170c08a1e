"""Prefill instances of the disaggregated engine; rules in `serving.engine.distserve`."""

from __future__ import annotations

import numba

from policies.ordering.base import FINISHED, PREEMPTED, REJECTED, RUNNING
from serving.engine import distserve_state as s
from serving.engine.blocks import label, release, share, take
from serving.engine.distserve_state import Limits, Prefills, State
from serving.engine.problem import Problem
from serving.engine.state import Blocks
from sim.gpu.step_cost import Batch, StepCosts, step_cost

NOBODY = -1


@numba.njit(cache=True)
def blocks_of(prefills: Prefills, i: int) -> Blocks:
    """Return the block cache of prefill instance i."""
    return Blocks(
        prefills.users[i],
        prefills.after[i],
        prefills.before[i],
        prefills.content[i],
        prefills.holder[i],
        prefills.next_holder[i],
        prefills.free[i],
    )


@numba.njit(cache=True)
def blocks_for(problem: Problem, tokens: int) -> int:
    """Return the blocks that hold `tokens`."""
    return (tokens + problem.block_tokens - 1) // problem.block_tokens


@numba.njit(cache=True)
def _known(problem: Problem, state: State, r: int) -> int:
    return problem.prompt[r] + state.requests.generated[r]


@numba.njit(cache=True)
def _next_waiting(state: State) -> int:
    """Return the request to take next: preempted ones first, then the sequence."""
    c, requests = state.c, state.requests
    if c[s.N_RESUMING] > 0:
        return int(requests.resuming[c[s.N_RESUMING] - 1])
    n = requests.sequence.size
    while c[s.NEXT] < n and requests.status[requests.sequence[c[s.NEXT]]] == REJECTED:
        c[s.NEXT] += 1
    return int(requests.sequence[c[s.NEXT]]) if c[s.NEXT] < n else NOBODY


@numba.njit(cache=True)
def _hits(problem: Problem, blocks: Blocks, known: int, r: int) -> tuple[int, int]:
    """Return (blocks hit, those of them that nobody uses); one token at least is computed."""
    start, end = problem.block_offsets[r], problem.block_offsets[r + 1]
    hits, idle = 0, 0
    for j in range(min((known - 1) // problem.block_tokens, end - start)):
        block = blocks.holder[problem.block_ids[start + j]]
        if block < 0:
            break
        hits += 1
        idle += blocks.users[block] == 0
    return hits, idle


@numba.njit(cache=True)
def _take_in(problem: Problem, state: State, i: int, r: int) -> bool:
    """Give r the blocks of its whole prompt on instance i; False if they are not free."""
    requests, blocks = state.requests, blocks_of(state.prefills, i)
    known = _known(problem, state, r)
    hits, idle = _hits(problem, blocks, known, r)
    total = blocks_for(problem, known)
    if total - hits + idle > blocks.free[0]:
        return False
    place, first = requests.table_start[r], problem.block_offsets[r]
    for j in range(hits):
        requests.table[place + j] = blocks.holder[problem.block_ids[first + j]]
        share(blocks, int(requests.table[place + j]))
    for j in range(hits, total):
        requests.table[place + j] = take(blocks)
    requests.held[r], requests.source[r] = total, i
    requests.computed[r] = hits * problem.block_tokens
    _leave_queue(problem, state, r, hits)
    return True


@numba.njit(cache=True)
def _leave_queue(problem: Problem, state: State, r: int, hits: int) -> None:
    c, requests = state.c, state.requests
    cached = hits * problem.block_tokens
    if requests.status[r] == PREEMPTED:
        c[s.N_RESUMING] -= 1
        c[s.RESUME_HITS] += cached
    else:
        c[s.NEXT] += 1
        c[s.FIRST_HITS] += cached
        requests.hits[r] = cached
    requests.status[r] = RUNNING


@numba.njit(cache=True)
def _compute(problem: Problem, state: State, i: int, r: int, tokens: int) -> int:
    """Add `tokens` of r to the step of instance i; return the query-key pairs."""
    requests, prefills = state.requests, state.prefills
    blocks, before = blocks_of(prefills, i), requests.computed[r]
    requests.computed[r] = before + tokens
    start, end = problem.block_offsets[r], problem.block_offsets[r + 1]
    full = min(requests.computed[r] // problem.block_tokens, end - start)
    for j in range(before // problem.block_tokens, full):
        block = int(requests.table[requests.table_start[r] + j])
        label(blocks, block, int(problem.block_ids[start + j]))
    prefills.batch[i, prefills.batch_size[i]] = r
    prefills.batch_size[i] += 1
    return tokens * before + tokens * (tokens + 1) // 2


@numba.njit(cache=True)
def start_prefill(problem: Problem, state: State, limits: Limits, costs: StepCosts, i: int) -> None:
    """Fill a step of idle instance i first come first served, and begin it if it has work."""
    prefills, c = state.prefills, state.c
    budget, pairs, sampled = limits.max_batched_tokens, 0, 0
    prefills.batch_size[i] = 0
    r = int(prefills.partial[i])
    if r == NOBODY:
        r = _next_waiting(state)
    while r != NOBODY and budget > 0:
        if r != prefills.partial[i] and not _take_in(problem, state, i, r):
            break
        left = _known(problem, state, r) - state.requests.computed[r]
        tokens = min(left, budget)
        pairs += _compute(problem, state, i, r, tokens)
        budget -= tokens
        sampled += tokens == left
        prefills.partial[i] = NOBODY if tokens == left else r
        r = _next_waiting(state)
    if prefills.batch_size[i] == 0:
        return
    tokens = limits.max_batched_tokens - budget
    batch = Batch(tokens, tokens, prefills.batch_size[i], pairs, 0, 0, sampled)
    compute, memory, ns = step_cost(costs, batch)
    prefills.busy_until_ns[i] = c[s.NOW_NS] + ns
    count_step(state, i, batch, compute, memory, ns)


@numba.njit(cache=True)
def count_step(
    state: State, instance: int, batch: Batch, compute: int, memory: int, ns: int
) -> None:
    """Add a step to the totals and to the instance's account."""
    c = state.c
    c[s.STEPS] += 1
    c[s.COMPUTE_NS] += compute
    c[s.MEMORY_NS] += memory
    c[s.SCHEDULED] += batch.tokens
    c[s.RUNNING_STEPS] += batch.prefills + batch.decodes
    state.busy_ns[instance] += ns
    state.steps[instance] += 1


@numba.njit(cache=True)
def end_prefill(problem: Problem, state: State, i: int) -> None:
    """Give each prompt that is done its token, and queue it for a decode instance."""
    prefills, requests, c = state.prefills, state.requests, state.c
    prefills.busy_until_ns[i] = s.IDLE
    for k in range(prefills.batch_size[i]):
        r = int(prefills.batch[i, k])
        if requests.computed[r] < _known(problem, state, r):
            continue
        requests.generated[r] += 1
        if requests.generated[r] == 1:
            requests.first_ns[r] = c[s.NOW_NS]
        if requests.generated[r] == problem.output[r]:
            finish(state, r)
            free_prompt(problem, state, r)
        else:
            requests.ready[c[s.READY_TAIL]] = r
            c[s.READY_TAIL] = (c[s.READY_TAIL] + 1) % requests.ready.size
    prefills.batch_size[i] = 0


@numba.njit(cache=True)
def finish(state: State, r: int) -> None:
    """Note the end of r."""
    state.requests.finish_ns[r] = state.c[s.NOW_NS]
    state.requests.status[r] = FINISHED
    state.c[s.N_SETTLED] += 1


@numba.njit(cache=True)
def free_prompt(problem: Problem, state: State, r: int) -> None:
    """Release r's blocks on its prefill instance, the last one first."""
    requests = state.requests
    blocks, place = blocks_of(state.prefills, requests.source[r]), requests.table_start[r]
    for j in range(blocks_for(problem, requests.computed[r]) - 1, -1, -1):
        release(blocks, int(requests.table[place + j]))
