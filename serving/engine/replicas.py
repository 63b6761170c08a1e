"""Data-parallel replicas: each rank runs its share of the pool on a batch engine of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from policies.ordering.base import REJECTED
from policies.ordering.ranks import RankShare
from serving.engine.config import EngineConfig
from serving.engine.result import ConservationError, EngineResult, Totals
from serving.engine.run import Engine, simulate
from serving.estimates import Estimate
from serving.pool import Workload


@dataclass(frozen=True, eq=False)
class RanksResult:
    """What the ranks did together.

    Attributes:
        whole: outcomes in the pool's order; totals summed over ranks, makespans those of the
            slowest rank under each overlap model, the series that of the slowest.
        makespan_ns: int64[ranks].
    """

    whole: EngineResult
    makespan_ns: NDArray[np.int64]

    @property
    def balance(self) -> float:
        """Mean makespan over the longest; 1 where all end together, or nothing runs."""
        longest = int(self.makespan_ns.max())
        return float(self.makespan_ns.mean() / longest) if longest else 1.0


# paper: blendserve 5.5
def simulate_ranks(
    workload: Workload,
    estimate: Estimate,
    shares: Sequence[RankShare],
    config: EngineConfig,
    engine: Engine = "fast",
) -> RanksResult:
    """Run each share on an engine configured by `config`; all start at time 0.

    Raises:
        OrderError: a plan misbehaves.
        ConservationError: an engine lost something, or the shares do not make up the pool.
    """
    held = np.concatenate([share.requests for share in shares])
    if not np.array_equal(np.sort(held), np.arange(len(workload.pool))):
        raise ConservationError("the ranks' shares do not hold each request once")
    results = []
    for share in shares:
        own = workload.subset(share.requests), _own_estimate(estimate, share)
        results.append(simulate(*own, share.plan, config, engine))
    return _together(results, shares, len(workload.pool))


def _own_estimate(estimate: Estimate, share: RankShare) -> Estimate:
    run_first = np.flatnonzero(np.isin(share.requests, estimate.run_first))
    return Estimate(estimate.output_tokens[share.requests], run_first)


def _together(results: Sequence[EngineResult], shares: Sequence[RankShare], n: int) -> RanksResult:
    makespans = np.array([result.totals.makespan_ns for result in results], np.int64)
    slowest = results[int(makespans.argmax())]
    sums = {
        field.name: sum(getattr(result.totals, field.name) for result in results)
        for field in fields(Totals)
    }
    sums["makespan_ns"] = slowest.totals.makespan_ns
    columns = {}
    for name in ("status", "first_token_ns", "finish_ns", "hit_tokens", "preempted"):
        columns[name] = np.full(n, REJECTED, getattr(slowest, name).dtype)
        for result, share in zip(results, shares, strict=True):
            columns[name][share.requests] = getattr(result, name)
    what_if = np.max([result.what_if_ns for result in results], axis=0)
    whole = EngineResult(
        **columns, totals=Totals(**sums), what_if_ns=what_if, series=slowest.series
    )
    return RanksResult(whole, makespans)
