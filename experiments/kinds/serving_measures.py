"""What the run kind `serving-order` prepares and measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.kinds import serving_rates
from experiments.kinds.serving_config import ServingConfig
from experiments.kinds.serving_pools import make_workload, notes_on
from experiments.kinds.serving_rates import costs_of
from policies.ordering.base import FINISHED, REJECTED, Plan, RequestOrder
from serving.density import ResourceModel
from serving.engine.config import EngineConfig
from serving.engine.result import EngineResult
from serving.engine.series import (
    COMPUTE_NS,
    MEMORY_NS,
    RUNNING,
    STEP_NS,
    STEPS,
    USED_BLOCKS,
)
from serving.estimates import Estimate
from serving.estimates import estimate as make_estimate
from serving.pool import PoolView, Workload
from serving.sharing import max_saved_tokens, pool_density
from serving.tree import build_tree
from sim.gpu.combine import combine
from sim.gpu.hardware import gpu_named
from sim.gpu.overlap import WHAT_IF
from sim.gpu.step_cost import StepCosts
from sim.streams import stream

NS_PER_S = 1e9


@dataclass(frozen=True, eq=False)
class Case:
    """One run's workload and engine."""

    config: ServingConfig
    seed: int
    workload: Workload
    resources: ResourceModel
    engine: EngineConfig

    @property
    def identity(self) -> dict[str, Any]:
        """What the workload's chance depends on: neither policy nor GPU."""
        return {"workload": self.config.workload.identity()}


def prepare(config: ServingConfig, seed: int) -> Case:
    """Return the case of a resolved configuration.

    Raises:
        ValueError: the workload cannot be read or generated, or the KV cache holds no block.
    """
    model = config.shape()
    block = config.tokens_per_block()
    blocks = config.kv_bytes() // (model.kv_bytes_per_token * model.kv_copies(config.gpus) * block)
    costs, resources = costs_of(config)
    engine = EngineConfig(
        costs,
        blocks,
        config.max_batched_tokens,
        config.max_seqs,
        kv_reserve=0.0 if config.kv_reserve == "peak" else config.kv_reserve,
        predict_peak=config.kv_reserve == "peak",
        reserve_prompt=config.reserve_prompt,
        rules=config.rules,
        arrivals=config.arrivals,
    )
    return Case(config, seed, make_workload(config.workload, seed, block), resources, engine)


def plan(case: Case, order: RequestOrder) -> tuple[Estimate, PoolView, Plan]:
    """Estimate lengths if the order wants them, and let it plan on what it may see.

    An order that does not read estimates gets no sample; its estimates are the pool's mean.
    """
    wanted = case.config.estimate
    needed = order.needs_estimates or wanted.kind != "sample"
    tree = build_tree(case.workload.pool)
    rng = stream(case.seed, case.identity, "sample")
    kind = wanted.kind if needed else "mean"
    estimate = make_estimate(case.workload, tree, kind, wanted.p, rng, wanted.factor)
    capacity = case.engine.kv_blocks * case.workload.pool.block_tokens
    pool = case.workload.pool
    view = PoolView.of(pool, estimate.output_tokens, case.resources, capacity)
    return estimate, view, order.plan(view, stream(case.seed, case.identity, "order"))


# paper: blendserve 3.3; blendserve 6.2
def optimum_s(costs: StepCosts, compute_s: float, memory_s: float) -> float:
    """Return the overlap model's time for the two amounts, in seconds: the practical optimum.

    The paper's formula (BlendServe section 6.2): all of (1 - s_o) T_comp beside all of T_mem. No
    order does better where the overlap model is sublinear, as all but fitted surfaces are: a sum of
    steps then takes no less than their amounts together. Left out, so that no order reaches it:
    prefill attention, the weights' read in steps of few tokens, rounding up to the token quantum,
    and the time in which the longest request runs alone. T_comp and T_mem count p + d tokens and
    p d + d^2 / 2 reads; an engine does one token and p + d / 2 reads per request less, so the
    optimum is too slow, by 0.4 % on the mixes of the paper and by more where outputs are short.
    """
    return combine(costs.overlap_code, costs.overlap_numbers, compute_s, memory_s)


# paper: blendserve fig 9
def metrics(case: Case, estimate: Estimate, result: EngineResult) -> dict[str, Any]:
    """Return the metrics of one run; requests that were rejected count nowhere but there.

    With several replicas the ideal amounts of work are shared out evenly among them.
    """
    replicas = case.config.replicas()
    done = result.status == FINISHED
    workload = case.workload if done.all() else case.workload.subset(np.flatnonzero(done))
    pool, output = workload.pool, workload.output_tokens
    totals = result.totals
    makespan = totals.makespan_ns / NS_PER_S
    prefill, tokens = int(pool.prompt_tokens.sum()), int(pool.prompt_tokens.sum() + output.sum())
    saved = max_saved_tokens(pool)
    compute = float(case.resources.comp_s(np.asarray(tokens - saved, np.float64))) / replicas
    memory = float(case.resources.mem_s(pool.prompt_tokens, output).sum()) / replicas
    peak = ResourceModel.of(gpu_named(case.config.gpu), case.config.shape(), gpus=case.config.gpus)
    practical = optimum_s(case.engine.costs, compute, memory)
    error = np.abs(estimate.output_tokens - case.workload.output_tokens)
    return {
        "makespan_s": makespan,
        "throughput_tokens_s": _share(tokens, makespan),
        "throughput_per_gpu_tokens_s": _share(tokens, makespan * replicas * case.config.gpus),
        "share_of_ideal_optimum": _share(max(compute, memory), makespan),
        "share_of_practical_optimum": _share(practical, makespan),
        "prefix_hit_ratio": _share(totals.first_hit_tokens, prefill),
        "sharing_kept": totals.first_hit_tokens / saved if saved else 1.0,
        "max_sharing": _share(saved, prefill),
        "max_sharing_compute": _share(saved, tokens),
        "density": pool_density(pool, output, saved, peak) if done.any() else 0.0,
        "ideal_compute_s": compute,
        "ideal_memory_s": memory,
        "compute_busy_share": _share(totals.compute_ns, totals.makespan_ns * replicas),
        "memory_busy_share": _share(totals.memory_ns, totals.makespan_ns * replicas),
        "preemptions": totals.preemptions,
        "recomputed_tokens": totals.dropped_tokens - totals.resume_hit_tokens,
        "steps": totals.steps,
        "mean_batch": _share(totals.running_steps, totals.steps),
        "requests_done": int(done.sum()),
        "requests_rejected": int((result.status == REJECTED).sum()),
        "sampled_requests": int(estimate.run_first.size),
        "estimate_error_tokens": float(error.mean()) if error.size else 0.0,
        "kv_blocks": case.engine.kv_blocks,
        "block_tokens": pool.block_tokens,
        **_what_if(result, compute, memory),
    }


def _what_if(result: EngineResult, compute_s: float, memory_s: float) -> dict[str, float | None]:
    """Return makespan and practical optimum under each model of `WHAT_IF`; None with arrivals."""
    found: dict[str, float | None] = {}
    for i, (name, model) in enumerate(WHAT_IF.items()):
        known = result.what_if_ns.size > 0
        numbers = np.array(model.numbers, np.float64)
        makespan = result.what_if_ns[i] / NS_PER_S if known else None
        found[f"makespan_if_{name}_s"] = makespan
        optimum = combine(model.code, numbers, compute_s, memory_s)
        found[f"share_if_{name}"] = _share(optimum, makespan) if makespan is not None else None
    return found


def _share(part: float, whole: float) -> float:
    """Return part / whole, 0 where there is no whole."""
    return float(part / whole) if whole else 0.0


def use_over_time(case: Case, result: EngineResult) -> dict[str, list[float]]:
    """Return how busy compute and memory were, and the batch, per bucket of steps."""
    rows = result.series
    step_ns, steps = np.maximum(rows[:, STEP_NS], 1), np.maximum(rows[:, STEPS], 1)
    columns = {
        "end_s": np.cumsum(rows[:, STEP_NS]) / NS_PER_S,
        "steps": rows[:, STEPS],
        "compute_share": rows[:, COMPUTE_NS] / step_ns,
        "memory_share": rows[:, MEMORY_NS] / step_ns,
        "running": rows[:, RUNNING] / steps,
        "kv_used_share": rows[:, USED_BLOCKS] / steps / case.engine.kv_blocks,
    }
    return {name: values.tolist() for name, values in columns.items()}


def notes(case: Case) -> list[str]:
    """Return what a reader must know of the workload."""
    about_rates = serving_rates.notes(case.config)
    return [*notes_on(case.config.workload, case.workload), *about_rates]
