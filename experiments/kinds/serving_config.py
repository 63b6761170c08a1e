"""Configuration of the run kind `serving-order`, as a manifest writes it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from experiments.kinds.base import Config
from policies.registry import UnknownNameError
from serving.traces.catalog import TRACES, entry_named
from sim.gpu.hardware import gpu_named
from sim.gpu.models import model_named

MIX_BLOCK_TOKENS = 8
MAX_REQUESTS = 5_000_000


def _known(lookup: Any, name: str) -> str:
    try:
        lookup(name)
    except UnknownNameError as error:
        raise ValueError(str(error)) from None
    return name


class TraceWorkload(Config):
    """Requests of a public trace, whole or a random window of it."""

    kind: Literal["trace"]
    name: str = Field(description="Name in the catalogue of traces.")
    requests: int | None = Field(
        default=None,
        ge=1,
        le=MAX_REQUESTS,
        description="Length of a window drawn by the seed; all if null.",
    )
    sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="Digest of the file; filled in when resolved.",
    )

    @field_validator("name")
    @classmethod
    def _in_catalogue(cls, name: str) -> str:
        return _known(entry_named, name)


class StandinWorkload(Config):
    """A generated pool with a trace's published means and sharing."""

    kind: Literal["standin"]
    name: str = Field(description="Name of the trace that it stands in for.")
    requests: int | None = Field(
        default=None,
        ge=1,
        le=MAX_REQUESTS,
        description="Pool size; as many as the trace has if null.",
    )

    @field_validator("name")
    @classmethod
    def _has_generator(cls, name: str) -> str:
        if not TRACES[_known(entry_named, name)].has_standin:
            raise ValueError(f"no stand-in is known for trace {name!r}")
        return name


class MixWorkload(Config):
    """BurstGPT + MMLU + OpenVid, mixed to a density and a sharing ratio."""

    kind: Literal["mix"]
    density: float = Field(
        default=1.4, gt=0, le=20, description="(1 - s) T_comp / T_mem of the pool."
    )
    sharing: float = Field(
        default=0.35, ge=0, lt=1, description="s, share of T_comp saved by sharing."
    )
    requests: int = Field(default=400_000, ge=50, le=MAX_REQUESTS, description="Pool size.")
    min_videos: int = Field(
        default=40,
        ge=1,
        description="Shorten video outputs until at least so many videos come out.",
    )


Workloads = Annotated[TraceWorkload | StandinWorkload | MixWorkload, Field(discriminator="kind")]


class Memory(Config):
    """Size of the KV cache: exactly one of the two."""

    kv_bytes: int | None = Field(default=None, ge=1, description="Bytes of the KV cache.")
    kv_fraction: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Share of the GPU's memory (0.75 of 80 GB in the paper).",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Memory:
        if (self.kv_bytes is None) == (self.kv_fraction is None):
            raise ValueError("memory: give exactly one of kv_bytes and kv_fraction")
        return self


class OverlapSum(Config):
    """No overlap."""

    kind: Literal["sum"]


class OverlapMax(Config):
    """Perfect overlap."""

    kind: Literal["max"]


class OverlapPartial(Config):
    """A fixed fraction of the shorter part is hidden."""

    kind: Literal["partial"]
    h: float = Field(ge=0, le=1, description="Hidden fraction; 0 is sum, 1 is max.")


Overlaps = Annotated[OverlapSum | OverlapMax | OverlapPartial, Field(discriminator="kind")]


class Estimator(Config):
    """How output lengths become known before the order is planned."""

    kind: Literal["oracle", "mean", "sample"] = Field(
        default="sample", description="True lengths, their mean, or subtree means of a sample."
    )
    p: float = Field(
        default=0.01, gt=0, le=1, description="Sampling probability; only sample reads it."
    )


class ServingConfig(Config):
    """Configuration of `serving-order`."""

    workload: Workloads = MixWorkload(kind="mix")
    model: str = Field(default="llama-3-8b", description="Shape of the language model.")
    gpu: str = Field(default="a100-80", description="Hardware entry.")
    gpus: int = Field(
        default=1, ge=1, le=1024, description="Ideal tensor-parallel copies of the GPU."
    )
    rates: Literal["peak", "profiled"] = Field(
        default="peak", description="Data-sheet or measured rates."
    )
    memory: Memory = Memory(kv_fraction=0.75)
    block_tokens: int | None = Field(
        default=None, ge=1, le=8192, description="Tokens per KV block; the workload's own if null."
    )
    max_batched_tokens: int = Field(
        default=2048, ge=1, le=1_000_000, description="Tokens per step."
    )
    max_seqs: int = Field(default=1024, ge=1, le=100_000, description="Running requests at most.")
    kv_reserve: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the estimated output that admission reserves: 0 is vLLM's greedy"
        " rule, 0.5 the average footprint, 1 the final one (NanoFlow's predicted peak).",
    )
    overlap: Overlaps = OverlapPartial(kind="partial", h=0.5)
    estimate: Estimator = Estimator()

    @field_validator("model")
    @classmethod
    def _model_known(cls, name: str) -> str:
        return _known(model_named, name)

    @field_validator("gpu")
    @classmethod
    def _gpu_known(cls, name: str) -> str:
        return _known(gpu_named, name)

    @model_validator(mode="after")
    def _fits_memory(self) -> ServingConfig:
        gpu_named(self.gpu).rates(self.rates == "profiled")
        memory = gpu_named(self.gpu).memory_bytes * self.gpus
        weights = model_named(self.model).weight_bytes
        if weights + self.kv_bytes() > memory:
            raise ValueError(
                f"memory: {weights / 1e9:.1f} GB of weights and {self.kv_bytes() / 1e9:.1f} GB of"
                f" KV cache exceed {memory / 1e9:.0f} GB"
            )
        return self

    def kv_bytes(self) -> int:
        """Return the bytes of the KV cache over all GPUs."""
        if self.memory.kv_bytes is not None:
            return self.memory.kv_bytes
        share = self.memory.kv_fraction or 0.0
        return int(share * gpu_named(self.gpu).memory_bytes * self.gpus)

    def tokens_per_block(self) -> int:
        """Return the block size; a trace's own, 8 for mixes (their system prompts are short)."""
        if self.block_tokens is not None:
            return self.block_tokens
        workload = self.workload
        if isinstance(workload, MixWorkload):
            return MIX_BLOCK_TOKENS
        return TRACES[workload.name].block_tokens
