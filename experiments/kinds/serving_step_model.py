"""Run kind `serving-step-model`: times of one layer of one decoding step, from a profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from experiments.kinds.base import Config, Outcome, register
from experiments.kinds.serving_rates import check_profile_is_of
from experiments.kinds.serving_workloads import known
from serving.profiles import catalog
from serving.profiles.files import digest_of
from sim.gpu.hardware import gpu_named
from sim.gpu.models import model_named

MS_PER_S, MS_PER_NS = 1e3, 1e-6
CURVE_TOKENS = 2048


class StepModelConfig(Config):
    """Configuration of `serving-step-model`."""

    profile: str = Field(
        default="vidur-a100-llama-3-8b",
        description="Measured dense operators: a name in the catalogue of profiles, or a file.",
    )
    model: str = Field(default="llama-3-8b", description="Shape of the language model.")
    gpu: str = Field(default="a100-80", description="Hardware entry.")
    batch: int = Field(default=512, ge=1, le=32_768, description="Decoding requests.")
    sequence: int = Field(default=1024, ge=1, description="KV tokens that each of them reads.")
    profile_sha256: str | None = Field(default=None, description="Filled in when resolved.")

    @field_validator("model")
    @classmethod
    def _model_known(cls, name: str) -> str:
        return known(model_named, name)

    @field_validator("gpu")
    @classmethod
    def _gpu_known(cls, name: str) -> str:
        return known(gpu_named, name)

    @model_validator(mode="after")
    def _of_this_gpu_and_model(self) -> StepModelConfig:
        check_profile_is_of(self.profile, self.gpu, self.model)
        return self


@register("serving-step-model")
class ServingStepModel:
    """Predicts what BlendServe's Table 1 measures."""

    Config: ClassVar[type[StepModelConfig]] = StepModelConfig
    policies: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        "gemm_ms": "ms; GEMMs of a layer by the profile, with its noise",
        "attention_ms": "ms; decode attention of a layer at NanoFlow's measured rate",
        "other_ms": "ms; norms, rotary embedding, activation and residual by the profile",
        "gemm_peak_ms": "ms; GEMMs at the data sheet's rate",
        "attention_peak_ms": "ms; decode attention at the data sheet's rate",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Fill in the profile's digest, if it is there.

        Raises:
            ValueError: it is neither in the catalogue nor a file.
        """
        path = catalog.locate(config["profile"], "dense")
        found = None if path is None else digest_of("dense", path)
        return {**config, "profile_sha256": config["profile_sha256"] or found}

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return the profile, if it is not on this machine."""
        absent = config["profile_sha256"] is None
        return (catalog.missing_message(config["profile"]),) if absent else ()

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Read the profile, draw its noise, look the batch up."""
        fields = {k: v for k, v in config.items() if k not in ("policy", "seed")}
        return _outcome(StepModelConfig.model_validate(fields), int(config["seed"]))


def _outcome(config: StepModelConfig, seed: int) -> Outcome:
    import numpy as np

    from serving.profiles.costs import decode_attention_bytes_s
    from serving.profiles.vidur import read_dense
    from sim.streams import stream

    gpu, model = gpu_named(config.gpu), model_named(config.model)
    profile = read_dense(catalog.located(config.profile, "dense", config.profile_sha256), 1)
    rng = stream(seed, {"profile": config.profile_sha256}, "noise")
    counts, ns = profile.gemm.counts, profile.gemm.ns
    drawn = ns + rng.normal(0.0, profile.gemm_std_ns)
    kv_bytes = config.batch * config.sequence * model.kv_bytes_per_token / model.layers
    flop = 2.0 * profile.layer_weights * config.batch
    shown = counts <= CURVE_TOKENS
    return Outcome(
        metrics={
            "gemm_ms": float(np.interp(config.batch, counts, drawn)) * MS_PER_NS,
            "attention_ms": MS_PER_S * kv_bytes / decode_attention_bytes_s(gpu.name),
            "other_ms": float(profile.other.table(config.batch)[-1]) * MS_PER_NS,
            "gemm_peak_ms": MS_PER_S * flop / gpu.flops,
            "attention_peak_ms": MS_PER_S * kv_bytes / gpu.bandwidth_bytes_s,
        },
        tables={
            "by_tokens": {
                "tokens": counts[shown].tolist(),
                "gemm_ms": (ns[shown] * MS_PER_NS).tolist(),
                "peak_ms": (
                    MS_PER_S * 2.0 * profile.layer_weights * counts[shown] / gpu.flops
                ).tolist(),
            }
        },
    )
