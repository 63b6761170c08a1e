"""SGLang's own order: longest prefix match first, while the queue is short.

Before each step's prefills the waiting queue is sorted by the prompt tokens that each request
would find in the cache, longest first and stable. Requests that would find at most 32 tokens are
looked at in queue order, and one that shares at least 32 tokens with another of them that stands
before it goes to the end: that one shall compute the prefix first. While more than 128 requests
wait nothing is sorted, the queue stays as it is, and new arrivals join its end. An offline pool
that is submitted at once therefore runs in the order of submission until 128 are left, which is
why the paper sorts the input depth-first (parameter `feed`).

After SGLang's `schedule_policy.py`; the limit of 128 came with pull request 1896 (November 2024),
the waiting for others' prefixes with 2442 (December 2024). v0.3.4.post1, which BlendServe compares
with, had neither: a very large `sort_up_to` and a `shared_tokens` of 0 give its rule, at the price
of a look at the whole queue in every step. Deviations: shared tokens count in whole KV blocks;
retracted requests come back by themselves (`serving.engine.sglang_rules`) and do not count as
waiting.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from policies.ordering.base import FUTURE, NEW, NOT_NOW, BatchView, register
from serving.pool import PoolView, RequestPool
from serving.tree import build_tree, dfs_order

CHECK_UP_TO_TOKENS = 32


@dataclass(frozen=True)
class LpmParameters:
    """How the queue is fed and sorted.

    Attributes:
        feed: requests that come together are queued by their arrival times ("arrival") or
            depth-first ("dfs").
        sort_up_to: waiting requests up to which the queue is sorted, >= 0.
        shared_tokens: tokens shared with an earlier waiting request from which one waits for
            it; 0 for never.
    """

    feed: str = "arrival"
    sort_up_to: int = 128
    shared_tokens: int = 32

    def __post_init__(self) -> None:
        if self.feed not in ("arrival", "dfs"):
            raise ValueError(f"feed must be 'arrival' or 'dfs', got {self.feed!r}")
        for name in ("sort_up_to", "shared_tokens"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")


@register("sglang_lpm")
class SglangLpm:
    """Longest prefix match on the preset `sglang`."""

    needs_estimates: ClassVar[bool] = False
    engine: ClassVar[str] = "sglang"
    Parameters: ClassVar[type] = LpmParameters

    def __init__(self, parameters: LpmParameters | None = None) -> None:
        self._parameters = parameters or LpmParameters()

    def plan(self, view: PoolView, rng: np.random.Generator) -> WaitingQueue:
        """Return the queue."""
        del rng
        pool = view.pool
        depth_first = self._parameters.feed == "dfs"
        by_arrival = np.argsort(pool.arrival_ns, kind="stable")
        fed = dfs_order(build_tree(pool)) if depth_first else by_arrival
        return WaitingQueue(pool, fed, self._parameters)


class WaitingQueue:
    """The requests that have come and wait, in SGLang's order."""

    def __init__(
        self, pool: RequestPool, fed: NDArray[np.int64], parameters: LpmParameters
    ) -> None:
        self._parameters = parameters
        self._shared = _shared_ids(pool, parameters.shared_tokens)
        by_arrival = np.argsort(pool.arrival_ns[fed], kind="stable")
        self._coming: list[int] = fed[by_arrival].tolist()
        self._place = np.argsort(fed)
        self._come = 0
        self._queue: deque[int] = deque()
        self._step: int | None = None

    def next(self, batch: BatchView) -> int:
        """Return the head of the queue; it is sorted at the first question of a step."""
        if batch.step != self._step:
            self._step = batch.step
            self._begin_step(batch)
        while self._queue and batch.status[self._queue[0]] != NEW:
            self._queue.popleft()
        return self._queue[0] if self._queue else NOT_NOW

    def _begin_step(self, batch: BatchView) -> None:
        self._queue.extend(self._newcomers(batch))
        while self._queue and batch.status[self._queue[0]] != NEW:
            self._queue.popleft()
        if len(self._queue) <= self._parameters.sort_up_to:
            self._sort([r for r in self._queue if batch.status[r] == NEW], batch)

    def _newcomers(self, batch: BatchView) -> list[int]:
        """Return those that have come since the last step, as they are fed."""
        start, coming = self._come, self._coming
        while self._come < len(coming) and batch.status[coming[self._come]] != FUTURE:
            self._come += 1
        return sorted(coming[start : self._come], key=self._place.__getitem__)

    def _sort(self, waiting: list[int], batch: BatchView) -> None:
        found = {r: batch.cached_tokens(r) for r in waiting}
        last = self._waits_for_another(waiting, found)
        matched = sorted((r for r in waiting if r not in last), key=lambda r: -found[r])
        self._queue = deque([*matched, *(r for r in waiting if r in last)])

    def _waits_for_another(self, waiting: list[int], found: dict[int, int]) -> set[int]:
        """Return those that share with one before them what the cache does not hold."""
        seen: set[int] = set()
        last: set[int] = set()
        for r in waiting:
            prefix = int(self._shared[r])
            if prefix < 0 or found[r] > CHECK_UP_TO_TOKENS:
                continue
            if prefix in seen:
                last.add(r)
            seen.add(prefix)
        return last


def _shared_ids(pool: RequestPool, tokens: int) -> NDArray[np.int64]:
    """Return int64[n]: equal and >= 0 for requests that share so many tokens, in whole blocks."""
    found = np.full(len(pool), -1, np.int64)
    block = -(-tokens // pool.block_tokens) - 1
    long = pool.blocks_per_request > block
    if block >= 0:
        found[long] = pool.block_ids[pool.block_offsets[:-1][long] + block]
    return found
