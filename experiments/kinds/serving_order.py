"""Run kind `serving-order`: a pool of requests, in one order, through the batch engine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from experiments.kinds import serving_rates
from experiments.kinds.base import Outcome, register
from experiments.kinds.serving_config import ServingConfig
from experiments.kinds.serving_settle import settled
from policies.ordering.base import ORDERS
from policies.registry import Registry


@register("serving-order")
class ServingOrder:
    """Compares orders on equal pools."""

    Config: ClassVar[type[ServingConfig]] = ServingConfig
    policies: ClassVar[Registry[Any]] = ORDERS
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        "makespan_s": "s; first admission to last token, of the slowest replica; lower is better",
        "throughput_tokens_s": "tokens/s; (input + output, cached ones counted) / makespan; "
        "higher is better",
        "throughput_per_gpu_tokens_s": "tokens/s; the same over all GPUs of all replicas; "
        "higher is better",
        "replica_use": "1; mean time to the last token of each data-parallel replica, or busy time "
        "of each disaggregated one, / makespan; higher is better",
        "share_of_ideal_optimum": "1; max((1 - s_o) T_comp, T_mem) / makespan; higher is better",
        "share_of_practical_optimum": "1; the overlap model's time for the two / makespan; "
        "higher is better",
        "prefix_hit_ratio": "1; saved prefill tokens / prefill tokens, resumptions excluded; "
        "higher is better",
        "sharing_kept": "1; prefix_hit_ratio / max_sharing (1 where nothing is shared); "
        "higher is better",
        "max_sharing": "1; largest possible prefix_hit_ratio of the pool",
        "max_sharing_compute": "1; the same saving as a share of T_comp",
        "density": "1; (1 - s_o) T_comp / T_mem at data-sheet rates",
        "ideal_compute_s": "s; (1 - s_o) T_comp, a replica's even share",
        "ideal_memory_s": "s; T_mem, a replica's even share",
        "compute_busy_share": "1; compute time / makespan, mean over replicas",
        "memory_busy_share": "1; memory time / makespan, mean over replicas",
        "preemptions": "requests preempted, counted each time, all replicas; lower is better",
        "recomputed_tokens": "tokens dropped by preemptions and not found again in the cache; "
        "lower is better",
        "steps": "batch steps of all replicas",
        "mean_batch": "running requests, mean over the steps of all replicas",
        "requests_done": "requests; higher is better",
        "requests_rejected": "requests that can never fit the KV cache; lower is better",
        "sampled_requests": "requests run first for their lengths",
        "estimate_error_tokens": "tokens; mean absolute error of the estimated output length; "
        "lower is better",
        "kv_blocks": "KV blocks of a replica's cache",
        "block_tokens": "tokens per KV block",
        "makespan_if_sum_s": "s; makespan of the same steps without overlap; lower is better",
        "makespan_if_max_s": "s; the same with perfect overlap; lower is better",
        "makespan_if_interference_s": "s; the same with NanoFlow's interference; lower is better",
        "share_if_sum": "1; practical optimum / makespan, both without overlap; higher is better",
        "share_if_max": "1; the same with perfect overlap; higher is better",
        "share_if_interference": "1; the same with NanoFlow's interference; higher is better",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Replace a trace by its digest, or by its generator where it is absent; rates likewise.

        Raises:
            ValueError: the trace or the profile is absent and has no stand-in.
        """
        config = serving_rates.settled(config)
        return {**config, "workload": settled(config["workload"])}

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Generate or read the pool, plan, simulate, measure."""
        from experiments.kinds import serving_measures as measures
        from experiments.kinds.serving_engines import run_engine
        from experiments.kinds.serving_presets import (
            constructed,
            note_on_engine,
            with_engine_of,
        )

        fields = {k: v for k, v in config.items() if k not in ("policy", "seed")}
        name = str(config["policy"])
        order = ORDERS.get(name)
        full = with_engine_of(ServingConfig.model_validate(fields), order)
        case = measures.prepare(full, int(config["seed"]))
        started = time.perf_counter()
        chosen = constructed(order, full.parameters.get(name, {}))
        estimate, view, plan = measures.plan(case, chosen)
        planned = time.perf_counter()
        ran = run_engine(case, estimate, plan, view)
        simulated = time.perf_counter()
        result = ran.result
        metrics = measures.metrics(case, estimate, result) | {"replica_use": ran.balance}
        return Outcome(
            metrics=metrics,
            tables={"use_over_time": measures.use_over_time(case, result), **ran.tables},
            notes=[*measures.notes(case), *note_on_engine(order)],
            measured={
                "order_s": planned - started,
                "simulate_s": simulated - planned,
                "steps_per_s": result.totals.steps / max(simulated - planned, 1e-9),
            },
        )
