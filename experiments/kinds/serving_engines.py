"""Which engine a run of `serving-order` uses: one, data-parallel ranks, or DistServe's xPyD."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from experiments.kinds.serving_config import Disaggregated
from experiments.kinds.serving_measures import Case
from policies.ordering.base import Plan
from policies.ordering.ranks import cut_plan
from serving.engine.distserve import Disaggregation, simulate_disaggregated
from serving.engine.replicas import simulate_ranks
from serving.engine.result import EngineResult
from serving.engine.run import simulate
from serving.estimates import Estimate
from serving.pool import PoolView
from sim.gpu.hardware import gpu_named

NS_PER_S = 1e9


@dataclass(frozen=True)
class Ran:
    """What an engine did.

    Attributes:
        result: over all replicas.
        balance: mean over replicas of the time for which they are used, over the makespan.
        tables: of this engine only.
    """

    result: EngineResult
    balance: float = 1.0
    tables: Mapping[str, Mapping[str, list[float]]] = field(default_factory=dict)


def run_engine(case: Case, estimate: Estimate, plan: Plan, view: PoolView) -> Ran:
    """Run the plan on the configured engine.

    Raises:
        ValueError: the plan cannot be run there.
    """
    if case.config.disaggregated is not None:
        return _disaggregated(case, case.config.disaggregated, estimate, plan)
    if case.config.ranks > 1:
        shares = cut_plan(plan, view, estimate.run_first, case.config.ranks)
        ran = simulate_ranks(case.workload, estimate, shares, case.engine)
        ends = (ran.makespan_ns / NS_PER_S).tolist()
        return Ran(ran.whole, ran.balance, {"ranks": {"end_s": ends}})
    return Ran(simulate(case.workload, estimate, plan, case.engine))


def _disaggregated(case: Case, wanted: Disaggregated, estimate: Estimate, plan: Plan) -> Ran:
    rate = wanted.link_bytes_s or gpu_named(case.config.gpu).link_bytes_s
    token_ns = NS_PER_S * case.resources.kv_bytes_per_token / rate
    layout = Disaggregation(wanted.prefill, wanted.decode, token_ns)
    ran = simulate_disaggregated(case.workload, estimate, plan, case.engine, layout)
    makespan = max(1, ran.whole.totals.makespan_ns)
    instances = {
        "decodes": [float(i >= wanted.prefill) for i in range(case.config.replicas())],
        "busy_share": (ran.busy_ns / makespan).tolist(),
        "steps": ran.steps.tolist(),
    }
    return Ran(ran.whole, float((ran.busy_ns / makespan).mean()), {"instances": instances})
