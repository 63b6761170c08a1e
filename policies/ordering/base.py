"""The contract between an order of requests and the batch engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from policies.registry import Registry

if TYPE_CHECKING:  # naming the orders must not load numba
    from serving.pool import PoolView

ORDERS: Registry[Any] = Registry("policies.ordering", "request order")
register = ORDERS.register

FUTURE, NEW, RUNNING, PREEMPTED, FINISHED, REJECTED = -1, 0, 1, 2, 3, 4
NOT_NOW = -1


def later(steps: int) -> int:
    """Return the answer "not now; ask again after so many steps, if nothing happens before"."""
    return NOT_NOW - max(1, steps)


@dataclass(frozen=True, eq=False)
class OneEnded:
    """Admit in this sequence: int64[n], a permutation of the request indices."""

    sequence: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TwoEnded:
    """Admit from both ends of a sequence, the KV memory split by densities (dual scan).

    Attributes:
        sequence: int64[n], a permutation; compute-heavy requests on the left.
        density: float64[n], density of the request at each *position*, >= 0.
        footprint_tokens: int64[n], mean KV tokens held by the request at each position.
        root_density: density of the whole pool.
        output_tokens: float64[n], estimated output of the request at each position; given, the
            prefill budgets C_L and C_R are enforced, None: memory alone paces admissions.
        relocate_at: int64[n], generated tokens at which a running request that was admitted
            from the left is booked under the right instead, because its output was
            underestimated; None or values <= 0: never.
        fixed_left_share: share of the KV memory that the left keeps whatever densities the
            scanners see, in [0, 1]; None: the split follows them.
    """

    sequence: NDArray[np.int64]
    density: NDArray[np.float64]
    footprint_tokens: NDArray[np.int64]
    root_density: float
    output_tokens: NDArray[np.float64] | None = None
    relocate_at: NDArray[np.int64] | None = None
    fixed_left_share: float | None = None


@dataclass(frozen=True, eq=False)
class BatchView:
    """The batch at a moment when a request could be admitted. Read-only; never kept.

    Attributes:
        time_ns: simulated time at the start of the step.
        step: batch steps done so far.
        status: int8[n]: FUTURE (has not arrived), NEW, RUNNING, PREEMPTED (comes back by itself),
            FINISHED or REJECTED.
        running: int64[b], running requests, oldest admission first.
        context_tokens: int64[n], tokens held in the KV cache by each running request.
        generated_tokens: int64[n], output tokens that each request has given so far.
        free_blocks: KV blocks not held by a running request.
        total_blocks: all KV blocks.
        budget_tokens: tokens that the present step may still take.
        cached_tokens: request index -> prompt tokens that it would find in the cache now.
    """

    time_ns: int
    step: int
    status: NDArray[np.int8]
    running: NDArray[np.int64]
    context_tokens: NDArray[np.int64]
    generated_tokens: NDArray[np.int64]
    free_blocks: int
    total_blocks: int
    budget_tokens: int
    cached_tokens: Callable[[int], int]


class Adaptive(Protocol):
    """A plan that decides while the batch runs."""

    def next(self, batch: BatchView) -> int:
        """Return a request whose status is NEW, or NOT_NOW, or `later(steps)`.

        Invoked only when the step's budget and the batch's seats allow an admission. An answer
        that does not fit the KV cache stays the candidate until the next arrival, admission,
        completion or preemption, and so does "not now"; then the question is asked again. It
        must depend on what it is shown.
        """
        ...


Plan = OneEnded | TwoEnded | Adaptive


class RequestOrder(Protocol):
    """Decides the order in which an offline pool enters the batch.

    Constructed without arguments, or, by an order with parameters, also with one: an instance of
    its `Parameters`, a frozen dataclass whose fields all have defaults and whose values are
    numbers, words or truth values. A manifest sets them under `parameters: {name: {...}}`.

    `needs_estimates` says whether `plan` reads the estimated output lengths; where it does not,
    the engine runs no sample first. `engine`, if an order has it, names the preset of the engine
    that it stands for ("vllm", "sglang"); without it the manifest's engine serves.
    """

    name: ClassVar[str]
    needs_estimates: ClassVar[bool]

    def plan(self, view: PoolView, rng: np.random.Generator) -> Plan:
        """Return the plan. Invoked once per run, before anything of the view is admitted.

        The order must not change the view. `rng` is its only source of chance.
        """
        ...
