"""Run kind `serving-pool`: describes a pool of requests; nothing is run.

Densities are those of BlendServe section 4 at data-sheet rates. The paper prints some with and
some without the factor (1 - s), so both are here, and the one that the pool's means alone give:
the printed densities disagree on that too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from experiments.kinds.base import Config, Outcome, Scalar, register
from experiments.kinds.serving_settle import settled, with_digest
from experiments.kinds.serving_workloads import MixWorkload, Workloads, known
from sim.gpu.hardware import gpu_named
from sim.gpu.models import model_named


class PoolConfig(Config):
    """Configuration of `serving-pool`."""

    workload: Workloads = MixWorkload(kind="mix")
    model: str = Field(default="llama-3-8b", description="Shape of the language model.")
    gpu: str = Field(default="a100-80", description="Hardware entry; its data-sheet rates count.")
    block_tokens: int | None = Field(
        default=None, ge=1, le=8192, description="Tokens per KV block; the workload's own if null."
    )

    @field_validator("model")
    @classmethod
    def _model_known(cls, name: str) -> str:
        return known(model_named, name)

    @field_validator("gpu")
    @classmethod
    def _gpu_known(cls, name: str) -> str:
        return known(gpu_named, name)


@register("serving-pool")
class ServingPool:
    """Describes pools."""

    Config: ClassVar[type[PoolConfig]] = PoolConfig
    policies: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        "requests": "requests in the pool; no value here and below if its trace is absent",
        "mean_prompt_tokens": "tokens",
        "mean_output_tokens": "tokens",
        "prompt_cv": "1; standard deviation of prompt tokens / mean",
        "output_cv": "1; standard deviation of output tokens / mean",
        "density": "1; (1 - s) T_comp / T_mem at data-sheet rates",
        "density_unshared": "1; T_comp / T_mem, as if nothing were shared",
        "density_of_means": "1; T_comp / T_mem of one request with the mean lengths",
        "sharing_prompt": "1; most prompt tokens that prefix hits can save / prompt tokens",
        "sharing_compute": "1; s, the same saving / all tokens, hence of T_comp",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Add the digests of files; what is absent stays without, and its run has no values.

        A stand-in would be of no use here: it has the densities that it was made to have.
        """
        workload = config["workload"]
        if workload["kind"] in ("trace", "clients"):
            return {**config, "workload": with_digest(workload) or {**workload, "sha256": None}}
        return {**config, "workload": settled(workload)}

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Generate or read the pool and describe it."""
        from experiments.kinds.serving_pools import make_workload, missing, notes_on

        fields = {k: v for k, v in config.items() if k not in ("policy", "seed")}
        full = PoolConfig.model_validate(fields)
        wanted = full.workload
        if (absent := missing(wanted)) is not None:
            nothing: dict[str, Scalar] = dict.fromkeys(ServingPool.metrics)
            return Outcome(metrics=nothing, notes=[absent])
        block = full.block_tokens or wanted.usual_block_tokens()
        workload = make_workload(wanted, int(config["seed"]), block)
        return Outcome(metrics=_described(full, workload), notes=notes_on(wanted, workload))


def _described(config: PoolConfig, workload: Any) -> dict[str, Scalar]:
    """Return the metrics of a `serving.pool.Workload`."""
    import numpy as np

    from serving.density import ResourceModel
    from serving.sharing import max_saved_tokens, pool_density

    resources = ResourceModel.of(gpu_named(config.gpu), model_named(config.model))
    prompt, output = workload.pool.prompt_tokens, workload.output_tokens
    saved = max_saved_tokens(workload.pool)
    p, d = float(prompt.mean()), float(output.mean())
    read = float(resources.mem_s(np.array([p]), np.array([d]))[0])
    return {
        "requests": len(workload.pool),
        "mean_prompt_tokens": p,
        "mean_output_tokens": d,
        "prompt_cv": float(prompt.std()) / p,
        "output_cv": float(output.std()) / d,
        "density": pool_density(workload.pool, output, saved, resources),
        "density_unshared": pool_density(workload.pool, output, 0, resources),
        "density_of_means": (p + d) * resources.compute_s_per_token / read,
        "sharing_prompt": saved / float(prompt.sum()),
        "sharing_compute": saved / float(prompt.sum() + output.sum()),
    }
