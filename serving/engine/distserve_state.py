"""State of the disaggregated engine: named tuples of arrays, which numba passes without copying."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from policies.ordering.base import NEW, REJECTED
from serving.engine.problem import Problem
from serving.engine.series import new_series

# Places in `State.c`, the counters. The first ten are `Totals`, in its order.
(
    NOW_NS,
    STEPS,
    COMPUTE_NS,
    MEMORY_NS,
    SCHEDULED,
    FIRST_HITS,
    RESUME_HITS,
    DROPPED,
    PREEMPTIONS,
    RUNNING_STEPS,
    N_SETTLED,
    N_RESUMING,
    NEXT,
    READY_HEAD,
    READY_TAIL,
    EVENTS,
    N_COUNTERS,
) = range(17)

IDLE = 1 << 62  # `busy_until_ns` of an instance without a step


class Limits(NamedTuple):
    """Whole-run constants; see `serving.engine.config` and `serving.engine.distserve`."""

    kv_blocks: int
    max_batched_tokens: int
    max_seqs: int
    transfer_token_ns: float
    check_every: int


class Requests(NamedTuple):
    """n requests.

    Attributes:
        sequence: int64[n], the order in which prompts are taken.
        status: int8[n]; `computed`, `generated`, `first_ns`, `finish_ns`, `hits`, `preempted`,
            `source` (prefill instance), `held` (blocks there, then on the decode instance):
            int64[n].
        table: int32[...], block tables on the prefill side; request r owns from table_start[r].
        resuming: int64[n], a stack of preempted requests, which are taken first.
        ready: int64[n + 1], a ring: prompts that are computed and wait for a decode instance.
    """

    sequence: np.ndarray
    status: np.ndarray
    computed: np.ndarray
    generated: np.ndarray
    first_ns: np.ndarray
    finish_ns: np.ndarray
    hits: np.ndarray
    preempted: np.ndarray
    source: np.ndarray
    held: np.ndarray
    table: np.ndarray
    table_start: np.ndarray
    resuming: np.ndarray
    ready: np.ndarray


class Prefills(NamedTuple):
    """x prefill instances; a row each. The last six are `serving.engine.state.Blocks`.

    Attributes:
        busy_until_ns: int64[x]; `sent_ns`: int64[x], when its outgoing link is free.
        batch: int64[x, tokens], requests in the present step; `batch_size`: int64[x], how many.
        partial: int64[x], request whose prompt goes on in the next step, or -1.
    """

    busy_until_ns: np.ndarray
    sent_ns: np.ndarray
    batch: np.ndarray
    batch_size: np.ndarray
    partial: np.ndarray
    users: np.ndarray
    after: np.ndarray
    before: np.ndarray
    content: np.ndarray
    holder: np.ndarray
    next_holder: np.ndarray
    free: np.ndarray


class Decodes(NamedTuple):
    """y decode instances; a row each.

    Attributes:
        busy_until_ns: int64[y]; `received_ns`: int64[y], when its incoming link is free.
        running: int64[y, seats], in order of arrival; `batch_size`: int64[y], how many;
            `in_step`: int64[y], how many of them the present step serves.
        inbound: int64[y, seats], a ring of requests on their way; `due_ns` when they are there;
            `inbound_head` and `inbound_count`: int64[y].
        free: int64[y], KV blocks neither held nor promised to one on its way.
    """

    busy_until_ns: np.ndarray
    received_ns: np.ndarray
    running: np.ndarray
    batch_size: np.ndarray
    in_step: np.ndarray
    inbound: np.ndarray
    due_ns: np.ndarray
    inbound_head: np.ndarray
    inbound_count: np.ndarray
    free: np.ndarray


class State(NamedTuple):
    """Everything; `busy_ns` and `steps`: int64[x + y] per instance, prefill first."""

    requests: Requests
    prefills: Prefills
    decodes: Decodes
    c: np.ndarray
    busy_ns: np.ndarray
    steps: np.ndarray
    series: np.ndarray


def new_state(
    problem: Problem, sequence: np.ndarray, limits: Limits, instances: tuple[int, int]
) -> State:
    """Return the state before the first step; `instances` are (x, y)."""
    c = np.zeros(N_COUNTERS, np.int64)
    c[N_SETTLED] = int((~problem.fits).sum())
    x, y = instances
    return State(
        _requests(problem, sequence),
        _prefills(x, problem, limits),
        _decodes(y, problem.prompt.size, limits),
        c,
        np.zeros(x + y, np.int64),
        np.zeros(x + y, np.int64),
        new_series(),
    )


def _requests(problem: Problem, sequence: np.ndarray) -> Requests:
    n = problem.prompt.size
    blocks = -(-(problem.prompt + problem.output) // problem.block_tokens)
    start = np.r_[0, np.cumsum(blocks * problem.fits)].astype(np.int64)
    zeros = {name: np.zeros(n, np.int64) for name in ("computed", "generated", "hits")}
    more = {name: np.zeros(n, np.int64) for name in ("preempted", "source", "held", "resuming")}
    return Requests(
        sequence=np.ascontiguousarray(sequence, np.int64),
        status=np.where(problem.fits, NEW, REJECTED).astype(np.int8),
        first_ns=np.full(n, -1, np.int64),
        finish_ns=np.full(n, -1, np.int64),
        table=np.zeros(int(start[-1]), np.int32),
        table_start=start,
        ready=np.zeros(n + 1, np.int64),
        **zeros,
        **more,
    )


def _prefills(x: int, problem: Problem, limits: Limits) -> Prefills:
    total = limits.kv_blocks
    ids = int(problem.block_ids.max()) + 1 if problem.block_ids.size else 0
    ring = np.arange(total + 1, dtype=np.int32)
    return Prefills(
        busy_until_ns=np.full(x, IDLE, np.int64),
        sent_ns=np.zeros(x, np.int64),
        batch=np.zeros((x, limits.max_batched_tokens), np.int64),
        batch_size=np.zeros(x, np.int64),
        partial=np.full(x, -1, np.int64),
        users=np.zeros((x, total), np.int32),
        after=np.tile(np.roll(ring, -1), (x, 1)),
        before=np.tile(np.roll(ring, 1), (x, 1)),
        content=np.full((x, total), -1, np.int32),
        holder=np.full((x, ids), -1, np.int32),
        next_holder=np.full((x, total), -1, np.int32),
        free=np.full((x, 1), total, np.int64),
    )


def _decodes(y: int, n: int, limits: Limits) -> Decodes:
    seats = max(1, min(limits.max_seqs, limits.max_batched_tokens, n))
    zeros = ("received_ns", "batch_size", "in_step", "inbound_head", "inbound_count")
    return Decodes(
        busy_until_ns=np.full(y, IDLE, np.int64),
        running=np.zeros((y, seats), np.int64),
        inbound=np.zeros((y, seats), np.int64),
        due_ns=np.zeros((y, seats), np.int64),
        free=np.full(y, limits.kv_blocks, np.int64),
        **{name: np.zeros(y, np.int64) for name in zeros},
    )
