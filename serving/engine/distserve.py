"""Disaggregated serving, xPyD: x prefill and y decode replicas of one GPU each (DistServe).

BlendServe (ASPLOS '26, Fig. 8) compares with DistServe (OSDI '24), implemented anew on SGLang.
What is modelled:

- One queue of prompts in the order's sequence. An idle prefill instance fills a step first come
  first served up to the token budget; a prompt that does not fit is computed in chunks. The KV of
  a whole prompt is allocated when it is taken. Prefix hits exist on prefill instances only, each
  with a cache of its own: whole blocks, least recently used evicted, as in the batch engine.
- The step that completes a prompt gives its first output token. Its KV waits on the prefill
  instance until a decode instance has a seat and free blocks for it and one more token; the
  roomiest one is taken. Ready prompts are sent first come first served. A transfer moves all of
  the prompt's KV over both instances' links, one transfer at a time, beside their computation;
  then the prefill instance frees it.
- A decode instance gives one token a step to each of its requests. One that finds no free block
  preempts the request that came last, which is computed again, before new prompts, by a prefill
  instance.

Lengths play no part in any decision. Hidden costs of a real system (control messages, a proxy,
contention on links with other traffic) are left out, so that the engine is rather too fast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from policies.ordering.base import OneEnded, Plan
from serving.engine import distserve_state as s
from serving.engine.blocks import sound
from serving.engine.config import EngineConfig
from serving.engine.distserve_decode import end_decode, receive, send_ready, start_decode
from serving.engine.distserve_prefill import blocks_of, end_prefill, start_prefill
from serving.engine.distserve_state import Limits, State, new_state
from serving.engine.problem import Problem, is_permutation, make_problem
from serving.engine.result import ConservationError, EngineResult, OrderError, Totals
from serving.engine.series import finished_series
from serving.estimates import Estimate
from serving.pool import Workload
from sim.gpu.step_cost import StepCosts

DONE, STALLED, UNSOUND = 0, 1, 2
CHECK_EVERY_EVENTS = 8192


@dataclass(frozen=True)
class Disaggregation:
    """x prefill and y decode instances.

    Attributes:
        prefill: instances, >= 1.
        decode: instances, >= 1.
        transfer_token_ns: time to move the KV of one token between two of them, >= 0.
    """

    prefill: int
    decode: int
    transfer_token_ns: float

    def __post_init__(self) -> None:
        if min(self.prefill, self.decode) < 1 or not self.transfer_token_ns >= 0:
            raise ValueError(
                "disaggregated: prefill and decode must be >= 1 and the transfer time >= 0, got"
                f" {self.prefill}, {self.decode} and {self.transfer_token_ns}"
            )


@dataclass(frozen=True, eq=False)
class DisaggregatedResult:
    """What happened; instances are numbered from 0, prefill first.

    Attributes:
        whole: outcomes per request and sums over all instances; the series are those of the first
            decode instance.
        busy_ns: int64[x + y], time in steps.
        steps: int64[x + y].
    """

    whole: EngineResult
    busy_ns: NDArray[np.int64]
    steps: NDArray[np.int64]


# paper: blendserve fig 8
def simulate_disaggregated(
    workload: Workload,
    estimate: Estimate,
    plan: Plan,
    config: EngineConfig,
    layout: Disaggregation,
    check_every: int = CHECK_EVERY_EVENTS,
) -> DisaggregatedResult:
    """Run the pool on x + y instances, each with the KV cache, budget and seats of `config`.

    Args:
        workload: requests and their true lengths.
        estimate: must not want a sample run first.
        plan: a one-ended one.
        config: limits and rates of one instance; admission is this engine's own.
        layout: x, y and the links.
        check_every: events between two full checks of the KV accounts.

    Raises:
        OrderError: the plan is not one-ended or no permutation, or a sample is to run first.
        ConservationError: the engine lost something.
    """
    if not isinstance(plan, OneEnded) or estimate.run_first.size:
        raise OrderError("disaggregated: only one-ended plans that want no sample can be run")
    if not is_permutation(plan.sequence, len(workload.pool)):
        raise OrderError("the plan's sequence is not a permutation of the requests")
    problem = make_problem(workload, estimate, config)
    sizes = (config.kv_blocks, config.max_batched_tokens, config.max_seqs)
    limits = Limits(*sizes, float(layout.transfer_token_ns), check_every)
    state = new_state(problem, plan.sequence, limits, (layout.prefill, layout.decode))
    code = _run(problem, state, limits, config.costs)
    if code != DONE:
        raise ConservationError("disaggregated: " + ("KV lost" if code == UNSOUND else "stalled"))
    return _result(problem, state)


def _result(problem: Problem, state: State) -> DisaggregatedResult:
    requests, totals = state.requests, Totals(*map(int, state.c[: s.N_SETTLED]))
    whole = EngineResult(
        requests.status,
        requests.first_ns,
        requests.finish_ns,
        requests.hits,
        requests.preempted,
        totals,
        what_if_ns=np.zeros(0, np.int64),  # what is sent where depends on time
        series=finished_series(state.series),
    )
    whole.check_tokens(problem)
    return DisaggregatedResult(whole, state.busy_ns, state.steps)


@numba.njit(cache=True)
def _run(problem: Problem, state: State, limits: Limits, costs: StepCosts) -> int:
    """Go from event to event until all requests are settled."""
    c = state.c
    x, y = state.prefills.free.shape[0], state.decodes.free.size
    while c[s.N_SETTLED] < problem.prompt.size:
        send_ready(problem, state, limits)
        for i in range(x):
            if state.prefills.busy_until_ns[i] == s.IDLE:
                start_prefill(problem, state, limits, costs, i)
        for j in range(y):
            if state.decodes.busy_until_ns[j] == s.IDLE:
                start_decode(problem, state, limits, costs, j, x + j)
        c[s.EVENTS] += 1
        if c[s.EVENTS] % limits.check_every == 0 and not _sound(state, limits):
            return UNSOUND
        if not _advance(problem, state):
            return STALLED
    return DONE if _sound(state, limits) else UNSOUND


@numba.njit(cache=True)
def _advance(problem: Problem, state: State) -> bool:
    """Move the clock to the next end of a step or transfer and settle all that end then."""
    prefills, decodes, c = state.prefills, state.decodes, state.c
    now = min(prefills.busy_until_ns.min(), decodes.busy_until_ns.min())
    for j in range(decodes.free.size):
        if decodes.inbound_count[j] > 0:
            now = min(now, decodes.due_ns[j, decodes.inbound_head[j]])
    if now == s.IDLE:
        return False
    c[s.NOW_NS] = now
    for i in range(prefills.busy_until_ns.size):
        if prefills.busy_until_ns[i] == now:
            end_prefill(problem, state, i)
    for j in range(decodes.free.size):
        if decodes.busy_until_ns[j] == now:
            end_decode(problem, state, j)
        receive(problem, state, j)
    return True


@numba.njit(cache=True)
def _sound(state: State, limits: Limits) -> bool:
    """Return whether on each instance used + free = total, and none is below 0."""
    requests, decodes = state.requests, state.decodes
    for i in range(state.prefills.free.shape[0]):
        if not sound(blocks_of(state.prefills, i)):
            return False
    for j in range(decodes.free.size):
        held = decodes.free[j]
        for k in range(decodes.batch_size[j]):
            held += requests.held[decodes.running[j, k]]
        for k in range(decodes.inbound_count[j]):
            place = (decodes.inbound_head[j] + k) % decodes.inbound.shape[1]
            held += requests.held[decodes.inbound[j, place]]
        if decodes.free[j] < 0 or held != limits.kv_blocks:
            return False
    return True
