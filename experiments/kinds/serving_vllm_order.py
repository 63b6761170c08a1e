"""Run kind `serving-vllm-order`: a pool, in one order, through vLLM and the simulator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from experiments.kinds.base import Config, Outcome, register
from experiments.kinds.serving_workloads import known
from policies.ordering.base import ORDERS
from policies.registry import Registry
from serving.vllm.model import dummy_named

if TYPE_CHECKING:
    from serving.pool import Workload


class VllmOrderConfig(Config):
    """Configuration of `serving-vllm-order`."""

    model: str = Field(default="small", description="Decoder with dummy weights.")
    requests: int = Field(default=96, ge=4, le=5000, description="Pool size.")
    groups: int = Field(default=12, ge=1, le=500, description="Prefixes that requests share.")
    prefix_tokens: int = Field(default=256, ge=0, le=2048, description="Tokens of a prefix.")
    long_share: float = Field(
        default=0.25, ge=0, le=1, description="Share of requests with long outputs."
    )
    kv_tokens: int = Field(default=4096, ge=1024, le=131_072, description="KV cache, in tokens.")
    max_batched_tokens: int = Field(default=512, ge=32, le=8192, description="Tokens per step.")
    max_seqs: int = Field(default=16, ge=1, le=256, description="Running requests at most.")
    estimate: Literal["oracle", "mean", "sample"] = Field(
        default="oracle", description="How output lengths become known before the order is planned."
    )
    repeat: int = Field(
        default=0, ge=0, description="Turn: the same again, with other orders between."
    )

    @field_validator("model")
    @classmethod
    def _model_known(cls, name: str) -> str:
        return known(dummy_named, name)


@register("serving-vllm-order")
class VllmOrder:
    """Compares orders on a real engine, and with what the simulator says of them."""

    exclusive: ClassVar[bool] = True
    Config: ClassVar[type[VllmOrderConfig]] = VllmOrderConfig
    policies: ClassVar[Registry[Any]] = ORDERS
    needs: ClassVar[tuple[str, ...]] = ("vllm",)
    metrics: ClassVar[Mapping[str, str]] = {
        "equal_steps_share": "1; steps that are equal in every field, vLLM and simulator",
        "hit_tokens": "prompt tokens found in vLLM's cache at first admissions; higher is better",
        "hit_tokens_error": "tokens; simulated - vLLM's",
        "hit_blocks_error": "KV blocks; simulated - vLLM's",
        "hit_ratio": "1; hit_tokens / prompt tokens; higher is better",
        "sharing_kept": "1; hit_tokens / the most that can be hit; higher is better",
        "prefill_tokens": "tokens of prompts that vLLM computed, again after preemptions too; "
        "lower is better",
        "steps": "steps of vLLM; lower is better",
        "steps_error": "steps; simulated - vLLM's",
        "preemptions": "preemptions in vLLM; lower is better",
        "peak_kv_blocks": "KV blocks in use at most, in vLLM",
        "cpu_s": "s; CPU time of vLLM's process in all steps, 1 thread; lower is better",
        "wall_s": "s; wall time of all steps, whatever else runs; lower is better",
        "cpu_us_per_step": "us; cpu_s / steps",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is; the machine is told in the provenance."""
        return config

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Make the pool, plan, run on vLLM, simulate, compare."""
        from serving.estimates import estimate
        from serving.tree import build_tree
        from serving.vllm.predicted import predicted
        from sim.streams import stream

        fields = {k: v for k, v in config.items() if k not in ("policy", "seed")}
        wanted, seed = VllmOrderConfig.model_validate(fields), int(config["seed"])
        identity = wanted.model_dump(exclude={"repeat", "kv_tokens", "max_seqs"})
        workload, prompts = _pool(wanted, stream(seed, identity, "requests"))
        order = ORDERS.get(str(config["policy"]))()
        kind = wanted.estimate if order.needs_estimates else "oracle"
        tree = build_tree(workload.pool)
        guess = estimate(workload, tree, kind, 0.1, stream(seed, identity, "sample"))
        sizes, engine_config, view = _engine(wanted, workload, guess)
        plan = order.plan(view, stream(seed, identity, "order"))
        real, about = _on_vllm(sizes, workload, prompts, guess, plan, engine_config)
        plan = order.plan(view, stream(seed, identity, "order"))  # adaptive ones keep state
        simulated = predicted(workload, guess, plan, engine_config)
        notes = [f"vLLM {about['version']}, torch {about['torch']}, dummy weights, on the CPU"]
        return Outcome(_values(workload, real, simulated), notes=[*notes, workload.origin])


def _pool(wanted: VllmOrderConfig, rng: Any) -> tuple[Workload, list[list[int]]]:
    """Return prompts behind shared prefixes, most with short outputs, some with long ones."""
    import numpy as np

    from serving.pool import RequestPool, Workload
    from serving.vllm.client import BLOCK_TOKENS
    from serving.vllm.tokens import FIRST_TOKEN

    n, words = wanted.requests, (FIRST_TOKEN, dummy_named(wanted.model).vocabulary)
    heads = rng.integers(*words, (wanted.groups, wanted.prefix_tokens))
    group = rng.integers(wanted.groups, size=n)
    own = [rng.integers(*words, int(rng.integers(16, 129))) for _ in range(n)]
    prompts = [np.concatenate([heads[g], tail]) for g, tail in zip(group, own, strict=True)]
    long = rng.random(n) < wanted.long_share
    output = np.where(long, rng.integers(80, 161, n), rng.integers(4, 25, n))
    pool = RequestPool.from_tokens(prompts, BLOCK_TOKENS)
    origin = f"generated: {n} requests behind {wanted.groups} prefixes of {wanted.prefix_tokens}"
    return Workload.of(pool, output, origin), [p.tolist() for p in prompts]


def _engine(wanted: VllmOrderConfig, workload: Workload, guess: Any) -> tuple[Any, Any, Any]:
    """Return the sizes to start vLLM with, the run's configuration, and what the order sees."""
    from serving.density import ResourceModel
    from serving.engine.config import EngineConfig
    from serving.pool import PoolView
    from serving.vllm.client import BLOCK_TOKENS, Sizes
    from serving.vllm.predicted import equal_steps
    from sim.gpu.hardware import gpu_named
    from sim.gpu.models import model_named

    blocks = wanted.kv_tokens // BLOCK_TOKENS
    limits = (blocks, wanted.max_batched_tokens, wanted.max_seqs)
    sizes = Sizes(dummy_named(wanted.model), *limits, max_model_tokens=blocks * BLOCK_TOKENS)
    config = EngineConfig(equal_steps(wanted.max_batched_tokens), *limits, reserve_prompt=True)
    resources = ResourceModel.of(gpu_named("a100-80"), model_named("llama-3-8b"))
    view = PoolView.of(workload.pool, guess.output_tokens, resources, blocks * BLOCK_TOKENS)
    return sizes, config, view


def _on_vllm(
    sizes: Any, workload: Workload, prompts: list[list[int]], guess: Any, plan: Any, config: Any
) -> tuple[Any, dict[str, Any]]:
    from dataclasses import replace

    from policies.ordering.base import OneEnded
    from serving.estimates import oracle
    from serving.vllm.client import VllmEngine

    with VllmEngine(sizes) as engine:
        few = workload.subset(range(min(8, len(prompts))))  # warms allocators and caches
        first = OneEnded(few.pool.arrival_ns.argsort(kind="stable"))
        engine.run(few, prompts[:8], oracle(few), first, replace(config, prefix_caching=False))
        return engine.run(workload, prompts, guess, plan, config), engine.about


def _values(workload: Workload, real: Any, simulated: list[Any]) -> dict[str, Any]:
    """Return the metrics of a `serving.vllm.client.RealRun` and of the simulator's rows."""
    from serving.sharing import max_saved_tokens
    from serving.vllm.calibration import work_of

    rows, pool = real.rows, workload.pool

    def hits(of: list[Any]) -> int:
        return sum(hit for row in of for _, hit, before in row.admitted if not before)

    cpu_s = float(real.cpu_ns.sum()) / 1e9
    equal = sum(a == b for a, b in zip(simulated, rows, strict=False))
    return {
        "equal_steps_share": equal / max(len(rows), len(simulated)),
        "hit_tokens": hits(rows),
        "hit_tokens_error": hits(simulated) - hits(rows),
        "hit_blocks_error": (hits(simulated) - hits(rows)) // pool.block_tokens,
        "hit_ratio": hits(rows) / int(pool.prompt_tokens.sum()),
        "sharing_kept": hits(rows) / max(1, max_saved_tokens(pool)),
        "prefill_tokens": int(work_of(rows, workload)[:, 1].sum()),
        "steps": len(rows),
        "steps_error": len(simulated) - len(rows),
        "preemptions": sum(len(row.preempted) for row in rows),
        "peak_kv_blocks": max(row.kv_blocks for row in rows),
        "cpu_s": cpu_s,
        "wall_s": float(real.wall_ns.sum()) / 1e9,
        "cpu_us_per_step": 1e6 * cpu_s / len(rows),
    }
