"""The fast engine's state: named tuples of arrays, which numba passes without copying."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from policies.ordering.base import FUTURE, REJECTED
from serving.engine.config import EngineConfig
from serving.engine.problem import Problem
from serving.engine.series import new_series
from serving.engine.sglang_rules import START_RATIO

# Places in `Run.c`, the counters. The first ten are `Totals`, in its order.
(
    MAKESPAN_NS,
    STEPS,
    COMPUTE_NS,
    MEMORY_NS,
    SCHEDULED,
    FIRST_HITS,
    RESUME_HITS,
    DROPPED,
    PREEMPTIONS,
    RUNNING_STEPS,
    N_RUNNING,
    N_RESUMING,
    N_SETTLED,
    RESERVED,
    CANDIDATE,
    HEAD,
    HEAD_LEFT,
    LEFT,
    RIGHT,
    USED_LEFT,
    USED_RIGHT,
    IN_ADMISSION,
    BUDGET,
    TOKENS,
    PREFILL_TOKENS,
    PREFILLS,
    PAIRS,
    KV_TOKENS,
    DECODING,
    EVENTS,
    PREEMPTED_NOW,
    NEXT_CHECK,
    JUMPED_STEPS,
    CANDIDATE_SIDE,
    ARRIVED,
    N_FUTURE,
    ASK_AGAIN_AT,
    RETRY_AT,
    RATIO,
    PROMISED,
    N_BEFORE,
    LAST_CONSULT,
    CREDIT_LEFT,
    CREDIT_RIGHT,
    BUDGET_LEFT,
    BUDGET_RIGHT,
    ASYNC,
    N_LEAVING,
    SEEN_NS,
    N_COUNTERS,
) = range(50)

ASK = -2  # CANDIDATE: the plan must be asked; -1: it said "not now"
NEVER = 1 << 62
ONE_ENDED, TWO_ENDED, ADAPTIVE = 0, 1, 2
MAX_TABLE_BYTES = 4_000_000_000


class Blocks(NamedTuple):
    """The block cache; b = total is the sentinel of the doubly linked free list.

    Attributes:
        users: int32[b].
        after: int32[b + 1], next in the free list (after[b] is its head).
        before: int32[b + 1], previous one (before[b] is its tail).
        content: int32[b], prefix id held or -1.
        holder: int32[ids], oldest block with that prefix id or -1.
        next_holder: int32[b], next block with the same prefix id or -1.
        free: int64[1], length of the free list.
    """

    users: np.ndarray
    after: np.ndarray
    before: np.ndarray
    content: np.ndarray
    holder: np.ndarray
    next_holder: np.ndarray
    free: np.ndarray


class Run(NamedTuple):
    """Progress of the requests and of the batch.

    Attributes:
        status: int8[n]; `computed`, `generated`, `prefill_until`, `first_ns`, `finish_ns`,
            `hits`, `preempted`, `chunk` (tokens last given of a prompt): int64[n]; `pending`:
            int8[n], scheduled in this step; `side`: int8[n], 0 left, 1 right, -1 neither;
            `in_head`: bool[n].
        seat: int32[n], row of `table`; `held`: int32[n], blocks held.
        table: int32[seats, blocks], block tables; `free_seats`: int32[seats], a stack.
        running: int64[seats], in order of admission; `by_end`: the same by remaining length, for
            predicted peaks; `resuming`: int64[n], a stack.
        place: int64[n], places in the plan under the priority policy, else empty.
        c: int64[N_COUNTERS].
        what_if_ns: int64[k], makespan under each model of `StepCosts.what_if`.
        series: see `serving.engine.series`.
    """

    status: np.ndarray
    computed: np.ndarray
    generated: np.ndarray
    prefill_until: np.ndarray
    first_ns: np.ndarray
    finish_ns: np.ndarray
    hits: np.ndarray
    preempted: np.ndarray
    pending: np.ndarray
    side: np.ndarray
    in_head: np.ndarray
    seat: np.ndarray
    held: np.ndarray
    table: np.ndarray
    free_seats: np.ndarray
    running: np.ndarray
    by_end: np.ndarray
    resuming: np.ndarray
    place: np.ndarray
    chunk: np.ndarray
    c: np.ndarray
    what_if_ns: np.ndarray
    series: np.ndarray


class Scan(NamedTuple):
    """A plan as arrays; empty where the kind does not use them. `fixed_left` < 0: not fixed."""

    kind: int
    sequence: np.ndarray
    density: np.ndarray
    footprint: np.ndarray
    root_density: float
    output: np.ndarray
    relocate_at: np.ndarray
    fixed_left: float


class Limits(NamedTuple):
    """Whole-run constants."""

    kv_blocks: int
    max_batched_tokens: int
    max_seqs: int
    reserving: bool
    predict_peak: bool
    reserve_prompt: bool
    sglang: bool
    skip: bool


def new_blocks(total: int, ids: int) -> Blocks:
    """Return a cache of free, empty blocks, 0 at the head."""
    ring = np.arange(total + 1, dtype=np.int32)
    return Blocks(
        users=np.zeros(total, np.int32),
        after=np.roll(ring, -1),
        before=np.roll(ring, 1),
        content=np.full(total, -1, np.int32),
        holder=np.full(ids, -1, np.int32),
        next_holder=np.full(total, -1, np.int32),
        free=np.array([total], np.int64),
    )


def new_run(problem: Problem, config: EngineConfig, place: np.ndarray) -> Run:
    """Return the state before the first step; `place` as in `Run`.

    Raises:
        MemoryError: the block tables would exceed 4 GB; use larger blocks or fewer seats.
    """
    n = problem.prompt.size
    seats = max(1, min(config.max_seqs, n))
    stored = (problem.prompt + problem.output)[problem.fits]
    width = int(stored.max()) // problem.block_tokens + 2 if stored.size else 1
    if seats * width * 4 > MAX_TABLE_BYTES:
        raise MemoryError(f"block tables of {seats} seats x {width} blocks exceed 4 GB")
    columns = {
        name: np.zeros(n, np.int64)
        for name in (
            *("computed", "generated", "prefill_until", "chunk"),
            *("hits", "preempted", "resuming"),
        )
    }
    in_head = np.zeros(n, np.bool_)
    in_head[problem.run_first] = True
    return Run(
        status=np.where(problem.fits, FUTURE, REJECTED).astype(np.int8),
        first_ns=np.full(n, -1, np.int64),
        finish_ns=np.full(n, -1, np.int64),
        pending=np.zeros(n, np.int8),
        side=np.full(n, -1, np.int8),
        in_head=in_head,
        seat=np.full(n, -1, np.int32),
        held=np.zeros(n, np.int32),
        table=np.empty((seats, width), np.int32),
        free_seats=np.arange(seats, dtype=np.int32)[::-1].copy(),
        running=np.zeros(seats, np.int64),
        by_end=np.zeros(seats, np.int64),
        place=place,
        c=_counters(problem, in_head, config.async_scheduling),
        what_if_ns=np.zeros(config.costs.what_if.codes.size, np.int64),
        series=new_series(),
        **columns,
    )


def _counters(problem: Problem, in_head: np.ndarray, lagging: bool) -> np.ndarray:
    c = np.zeros(N_COUNTERS, np.int64)
    c[CANDIDATE] = ASK
    c[ASYNC] = lagging
    c[CANDIDATE_SIDE] = -1
    c[RIGHT] = problem.prompt.size - 1
    c[N_FUTURE] = int(problem.fits.sum())
    c[ASK_AGAIN_AT] = c[RETRY_AT] = NEVER
    c[LAST_CONSULT] = -1
    c[RATIO] = START_RATIO
    c[N_SETTLED] = int((~problem.fits).sum())
    c[HEAD_LEFT] = int((in_head & problem.fits).sum())
    return c
