"""One plan for the whole pool, cut over data-parallel ranks (BlendServe section 5.5).

A two-ended plan is walked as the dual scanner would in the mean: the next request comes from the
left while the ranks so far have too little compute for the memory time that they hold (less than
the root density says), from the right otherwise. Where the walk reaches the target workload, a
rank closes and the next one begins, so that each gets one consecutive piece from the left and one
from the right, and all have nearly the root's density. A one-ended plan is cut into consecutive
pieces. A prefix is stored once more for each piece beyond the first that needs it: what is lost
is at most one root-to-leaf path per cut, and exactly the path that both neighbours of a cut share
where the sequence is depth-first.

Where the paper is silent: workload is the sum of estimated compute and memory time, with shared
prompt blocks split evenly among their users; targets are equal shares of the total; a request
belongs to the rank that holds the middle of its workload. The sample that is run first is dealt
out in turn, since nobody knows its lengths yet; a rank goes on with its own piece when its own
part of the sample is done, which is early where another rank still lacks lengths.

The first rank gets the most memory-heavy requests, which have the longest outputs. Where a pool
is so small that decoding the last of them takes much of a rank's time, that rank ends last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from policies.ordering.base import OneEnded, Plan, TwoEnded
from serving.density import ratio
from serving.pool import PoolView
from serving.sharing import apportioned_tokens

S = TypeVar("S", bound=np.generic)


@dataclass(frozen=True, eq=False)
class RankShare:
    """What one rank runs.

    Attributes:
        requests: int64[m], its requests, ascending.
        plan: its part of the plan; places in `requests` stand for requests.
    """

    requests: NDArray[np.int64]
    plan: OneEnded | TwoEnded


@dataclass(frozen=True, eq=False)
class _Load:
    """Estimated compute and memory seconds, float64[n] each, by place in the sequence."""

    compute: NDArray[np.float64]
    memory: NDArray[np.float64]

    def relative_density(self, places: NDArray[np.int64]) -> float:
        """Return the density of what stands at these places, against that of the whole.

        1 where either is no positive number: then nothing tells the ranks apart.
        """
        own = float(ratio(self.compute[places].sum(), self.memory[places].sum()))
        whole = float(ratio(self.compute.sum(), self.memory.sum()))
        known = 0.0 < whole < np.inf and 0.0 < own < np.inf
        return own / whole if known else 1.0


# paper: blendserve 5.5
def cut_plan(
    plan: Plan, view: PoolView, run_first: NDArray[np.int64], ranks: int
) -> list[RankShare]:
    """Cut `plan` over `ranks` ranks; together they hold each request once.

    Args:
        plan: of the whole pool.
        view: what the plan was made from; estimated lengths decide the cuts.
        run_first: int64[s], the sample, dealt out apart from the plan.
        ranks: >= 1; some get nothing where there are fewer requests.

    Raises:
        ValueError: the plan decides while the batch runs, so that nothing can be cut.
    """
    if not isinstance(plan, OneEnded | TwoEnded):
        raise ValueError(
            f"ranks: {type(plan).__name__} decides while the batch runs and cannot be cut over"
            " ranks; allowed are one-ended and two-ended plans, or ranks = 1"
        )
    load = _load(plan, view)
    sampled = np.isin(plan.sequence, run_first)
    places = np.flatnonzero(~sampled)
    if isinstance(plan, TwoEnded):
        places = places[_walk(load.compute[places], load.memory[places])]
    rank_of = np.empty(plan.sequence.size, np.int64)
    rank_of[places] = _by_workload((load.compute + load.memory)[places], ranks)
    rank_of[sampled] = np.arange(sampled.sum()) % ranks
    return [_share(plan, load, np.flatnonzero(rank_of == rank)) for rank in range(ranks)]


def _load(plan: OneEnded | TwoEnded, view: PoolView) -> _Load:
    output, resources = view.estimated_output_tokens, view.resources
    compute = resources.comp_s(apportioned_tokens(view.pool) + output)
    memory = resources.mem_s(view.pool.prompt_tokens, output)
    return _Load(compute[plan.sequence], memory[plan.sequence])


@numba.njit(cache=True)
def _walk(compute: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """Return the places in the order of the walk from both ends."""
    all_compute, all_memory = compute.sum(), memory.sum()
    order = np.empty(compute.size, np.int64)
    left, right = 0, compute.size - 1
    c, m = 0.0, 0.0
    for i in range(compute.size):
        from_left = c * all_memory <= m * all_compute
        order[i] = left if from_left else right
        c += compute[order[i]]
        m += memory[order[i]]
        left += from_left
        right -= not from_left
    return order


def _by_workload(work: NDArray[np.float64], ranks: int) -> NDArray[np.int64]:
    """Return the rank of each in a row: where the middle of its work falls, in equal shares."""
    ends = np.cumsum(work)
    if not work.size or ends[-1] <= 0:
        return np.arange(work.size) * ranks // max(1, work.size)
    middle = (ends - 0.5 * work) / ends[-1]
    return np.minimum(ranks - 1, (middle * ranks).astype(np.int64))


def _share(plan: OneEnded | TwoEnded, load: _Load, places: NDArray[np.int64]) -> RankShare:
    """Return the share of the rank that has these places of the sequence, ascending."""
    requests = np.sort(plan.sequence[places])
    sequence = np.searchsorted(requests, plan.sequence[places])
    if isinstance(plan, OneEnded):
        return RankShare(requests, OneEnded(sequence))

    def kept(values: NDArray[S] | None) -> NDArray[S] | None:
        return None if values is None else values[places]

    own = TwoEnded(
        sequence,
        plan.density[places],
        plan.footprint_tokens[places],
        plan.root_density * load.relative_density(places),
        kept(plan.output_tokens),
        kept(plan.relocate_at),
        plan.fixed_left_share,
    )
    return RankShare(requests, own)
