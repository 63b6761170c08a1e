"""Transfers and decode instances of the disaggregated engine; rules in `...distserve`."""

from __future__ import annotations

import math

import numba

from policies.ordering.base import PREEMPTED
from serving.engine import distserve_state as s
from serving.engine.distserve_prefill import blocks_for, count_step, finish, free_prompt
from serving.engine.distserve_state import Decodes, Limits, State
from serving.engine.problem import Problem
from serving.engine.series import add_idle, add_step
from sim.gpu.step_cost import Batch, StepCosts, step_cost


@numba.njit(cache=True)
def _roomiest(decodes: Decodes) -> int:
    """Return the instance with a seat that has most free blocks, the first of equals, or -1."""
    best = -1
    for j in range(decodes.free.size):
        seated = decodes.batch_size[j] + decodes.inbound_count[j]
        if seated < decodes.running.shape[1] and (best < 0 or decodes.free[j] > decodes.free[best]):
            best = j
    return best


@numba.njit(cache=True)
def send_ready(problem: Problem, state: State, limits: Limits) -> None:
    """Begin the transfers of ready prompts, first come first served, while there is room."""
    c, requests, decodes = state.c, state.requests, state.decodes
    while c[s.READY_HEAD] != c[s.READY_TAIL]:
        r, j = int(requests.ready[c[s.READY_HEAD]]), _roomiest(decodes)
        needed = blocks_for(problem, requests.computed[r] + 1)
        if j < 0 or needed > decodes.free[j]:
            return
        c[s.READY_HEAD] = (c[s.READY_HEAD] + 1) % requests.ready.size
        decodes.free[j] -= needed
        requests.held[r] = needed
        _send(state, limits, r, j)


@numba.njit(cache=True)
def _send(state: State, limits: Limits, r: int, j: int) -> None:
    """Book both links, one transfer after the other, and put r on its way to j."""
    requests, decodes, i = state.requests, state.decodes, state.requests.source[r]
    begin = max(state.c[s.NOW_NS], state.prefills.sent_ns[i], decodes.received_ns[j])
    end = begin + math.ceil(requests.computed[r] * limits.transfer_token_ns)
    state.prefills.sent_ns[i] = end
    decodes.received_ns[j] = end
    place = (decodes.inbound_head[j] + decodes.inbound_count[j]) % decodes.inbound.shape[1]
    decodes.inbound[j, place] = r
    decodes.due_ns[j, place] = end
    decodes.inbound_count[j] += 1


@numba.njit(cache=True)
def receive(problem: Problem, state: State, j: int) -> None:
    """Let those whose KV has arrived at j join its batch; the prefill instance forgets them."""
    decodes = state.decodes
    while decodes.inbound_count[j] > 0:
        head = decodes.inbound_head[j]
        if decodes.due_ns[j, head] > state.c[s.NOW_NS]:
            return
        r = int(decodes.inbound[j, head])
        decodes.inbound_head[j] = (head + 1) % decodes.inbound.shape[1]
        decodes.inbound_count[j] -= 1
        free_prompt(problem, state, r)
        decodes.running[j, decodes.batch_size[j]] = r
        decodes.batch_size[j] += 1


@numba.njit(cache=True)
def _preempt_last(state: State, j: int) -> int:
    """Drop the KV of the request that came last; it is computed again by a prefill instance."""
    c, requests, decodes = state.c, state.requests, state.decodes
    decodes.batch_size[j] -= 1
    r = int(decodes.running[j, decodes.batch_size[j]])
    decodes.free[j] += requests.held[r]
    c[s.DROPPED] += requests.computed[r]
    c[s.PREEMPTIONS] += 1
    requests.preempted[r] += 1
    requests.computed[r] = 0
    requests.status[r] = PREEMPTED
    requests.resuming[c[s.N_RESUMING]] = r
    c[s.N_RESUMING] += 1
    return r


@numba.njit(cache=True)
def _make_room(problem: Problem, state: State, j: int) -> int:
    """Give each running request the block of its next token; return the KV tokens to be read."""
    requests, decodes = state.requests, state.decodes
    i, kv = 0, 0
    while i < decodes.batch_size[j]:
        r = int(decodes.running[j, i])
        if requests.computed[r] == requests.held[r] * problem.block_tokens:
            while decodes.free[j] == 0:
                if _preempt_last(state, j) == r:
                    return kv
            decodes.free[j] -= 1
            requests.held[r] += 1
        kv += requests.computed[r] + 1
        i += 1
    return kv


@numba.njit(cache=True)
def start_decode(
    problem: Problem, state: State, limits: Limits, costs: StepCosts, j: int, instance: int
) -> None:
    """Begin a step of idle instance j, one token for each running request."""
    decodes, now = state.decodes, state.c[s.NOW_NS]
    kv = _make_room(problem, state, j)
    b = int(decodes.batch_size[j])
    decodes.in_step[j] = b
    if b == 0:
        return
    batch = Batch(b, 0, 0, 0, b, kv, b)
    compute, memory, ns = step_cost(costs, batch)
    decodes.busy_until_ns[j] = now + ns
    count_step(state, instance, batch, compute, memory, ns)
    if j == 0:
        add_idle(state.series, now - state.series[:-1, 1].sum())
        used = limits.kv_blocks - decodes.free[0]
        add_step(state.series, ns, compute, memory, b, used)


@numba.njit(cache=True)
def end_decode(problem: Problem, state: State, j: int) -> None:
    """Emit a token for each request of the step; the finished leave."""
    requests, decodes = state.requests, state.decodes
    decodes.busy_until_ns[j] = s.IDLE
    kept = 0
    for k in range(decodes.batch_size[j]):
        r = int(decodes.running[j, k])
        if k < decodes.in_step[j]:
            requests.computed[r] += 1
            requests.generated[r] += 1
            if requests.generated[r] == problem.output[r]:
                decodes.free[j] += requests.held[r]
                finish(state, r)
                continue
        decodes.running[j, kept] = r
        kept += 1
    decodes.batch_size[j] = kept
