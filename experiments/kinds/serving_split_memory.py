"""Run kind `serving-split-memory`: the dual scanner's split of the KV memory, worked by hand.

Nothing is simulated: two densities, the pool's density and the memory give M_L and M_R, and with
lengths the requests N that decode on each side and their prefill budget C (BlendServe section
5.3, Algorithm 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from experiments.kinds.base import Config, Outcome, register
from experiments.kinds.serving_workloads import known
from sim.gpu.models import model_named

SIDES = ("left", "right")


class Side(Config):
    """One scanner's present node."""

    density: float = Field(ge=0, description="Density rho.")
    prompt_tokens: float = Field(ge=1, description="Mean prompt length.")
    output_tokens: float = Field(ge=1, description="Mean output length.")
    rounding: float = Field(default=0.0, ge=0, description="Half the last printed digit of rho.")


class SplitConfig(Config):
    """Configuration of `serving-split-memory`; memory is in GB of 10^9 bytes."""

    memory_gb: float = Field(gt=0, description="Memory of the GPU.")
    occupied_gb: float = Field(ge=0, description="Weights and buffers.")
    model: str = Field(default="llama-3-8b", description="Its KV bytes per token give N.")
    root_density: float = Field(ge=0, description="Density of the pool.")
    root_rounding: float = Field(default=0.0, ge=0, description="Half its last printed digit.")
    left: Side
    right: Side

    @field_validator("model")
    @classmethod
    def _modelknown(cls, name: str) -> str:
        return known(model_named, name)

    @model_validator(mode="after")
    def _some_memory_is_left(self) -> SplitConfig:
        if self.occupied_gb >= self.memory_gb:
            raise ValueError(
                f"occupied_gb: {self.occupied_gb:g} GB leave nothing of {self.memory_gb:g} GB"
            )
        return self

    @property
    def kv_gb(self) -> float:
        """M, what is left for the KV cache."""
        return self.memory_gb - self.occupied_gb


@register("serving-split-memory")
class ServingSplitMemory:
    """Compares nothing: one split."""

    Config: ClassVar[type[SplitConfig]] = SplitConfig
    policies: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        f"{side}_{name}": meaning
        for side in SIDES
        for name, meaning in {
            "gb": "GB; KV memory of this side",
            "lowest_gb": "GB; the least, over the rounding of the densities",
            "highest_gb": "GB; the most",
            "requests": "requests that decode on this side, N = M / ((p + d/2) KV)",
            "prefill_tokens": "tokens; prefill budget per step, C = N p / d",
        }.items()
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is: nothing depends on the machine."""
        return config

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Solve the two equations."""
        fields = {k: v for k, v in config.items() if k not in ("policy", "seed")}
        return Outcome(metrics=split_metrics(SplitConfig.model_validate(fields)))


def split_metrics(config: SplitConfig) -> dict[str, float]:
    """Return the metrics."""
    from policies.ordering.dual_scan import decode_requests, prefill_tokens_per_step, split_memory

    densities = (config.left.density, config.right.density, config.root_density)
    half = (config.left.rounding, config.right.rounding, config.root_rounding)
    shares = split_memory(config.kv_gb, *densities)
    bounds = [(max(0.0, rho - h), rho + h) for rho, h in zip(densities, half, strict=True)]
    corners = [split_memory(config.kv_gb, *corner) for corner in product(*bounds)]
    found = {}
    for place, (name, side) in enumerate(zip(SIDES, (config.left, config.right), strict=True)):
        lengths = (side.prompt_tokens, side.output_tokens)
        kv_bytes = model_named(config.model).kv_bytes_per_token
        requests = decode_requests(shares[place] * 1e9, *lengths, kv_bytes)
        found |= {
            f"{name}_gb": shares[place],
            f"{name}_lowest_gb": min(corner[place] for corner in corners),
            f"{name}_highest_gb": max(corner[place] for corner in corners),
            f"{name}_requests": requests,
            f"{name}_prefill_tokens": prefill_tokens_per_step(requests, *lengths),
        }
    return found
