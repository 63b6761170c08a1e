"""Configuration of the run kind `serving-order`, as a manifest writes it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from experiments.kinds.base import Config
from experiments.kinds.serving_rates import check_rates
from experiments.kinds.serving_workloads import MixWorkload, Workloads, known
from policies.ordering.base import ORDERS
from sim.gpu.hardware import gpu_named
from sim.gpu.models import LlmShape, model_named
from sim.gpu.overlap import NANOFLOW_POINTS, overlap_named


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


class OverlapInterference(Config):
    """NanoFlow's measured interference between a GEMM and a memory-bound kernel."""

    kind: Literal["interference"]
    points: list[tuple[float, float]] = Field(
        default=[*NANOFLOW_POINTS],
        min_length=1,
        description="(R, P): share of the GPU for the memory-bound kernel, its speed there.",
    )


class OverlapSurface(Config):
    """A polynomial fitted to measured steps."""

    kind: Literal["surface"]
    coefficients: list[float] = Field(
        min_length=1,
        description="Of 1, x, x^2, ...: time over sequential time, x = compute's share of it.",
    )


Overlaps = Annotated[
    OverlapSum | OverlapMax | OverlapPartial | OverlapInterference | OverlapSurface,
    Field(discriminator="kind"),
]


class Estimator(Config):
    """How output lengths become known before the order is planned."""

    kind: Literal["oracle", "mean", "sample"] = Field(
        default="sample", description="True lengths, their mean, or subtree means of a sample."
    )
    p: float = Field(
        default=0.01, gt=0, le=1, description="Sampling probability; only sample reads it."
    )
    factor: float = Field(
        default=1.0, gt=0, le=1000, description="Bias of the mean; only mean reads it."
    )


class Disaggregated(Config):
    """DistServe's xPyD: prompts and outputs on replicas of their own, one GPU each."""

    prefill: int = Field(ge=1, le=64, description="x, replicas that compute prompts.")
    decode: int = Field(ge=1, le=64, description="y, replicas that decode.")
    link_bytes_s: float | None = Field(
        default=None, gt=0, description="Rate of a KV transfer; the GPU's own link if null."
    )


class ServingConfig(Config):
    """Configuration of `serving-order`."""

    workload: Workloads = MixWorkload(kind="mix")
    model: str = Field(default="llama-3-8b", description="Shape of the language model.")
    gpu: str = Field(default="a100-80", description="Hardware entry.")
    gpus: int = Field(
        default=1, ge=1, le=1024, description="Tensor-parallel copies of the GPU, per replica."
    )
    value_bytes: Literal[1, 2, 4] = Field(
        default=2,
        description="Bytes of a weight and of a KV entry: 2 for FP16, 1 for FP8, 4 for FP32.",
    )
    rates: Literal["peak", "profiled", "measured", "calibrated"] = Field(
        default="peak",
        description="Data-sheet rates, those that a paper profiled, a measured profile, or the"
        " hardware entry that `triptych calibrate` wrote.",
    )
    profile: str | None = Field(
        default=None,
        description="Measured dense operators: a name in the catalogue of profiles, or a file."
        " Profiled rates stand in for a catalogued one that is absent. Calibrated rates: the file"
        " of the hardware entry, in results/hardware or the data folder, or a path.",
    )
    profile_sha256: str | None = Field(default=None, description="Filled in when resolved.")
    memory: Memory = Memory(kv_fraction=0.75)
    block_tokens: int | None = Field(
        default=None, ge=1, le=8192, description="Tokens per KV block; the workload's own if null."
    )
    max_batched_tokens: int = Field(
        default=2048, ge=1, le=1_000_000, description="Tokens per step."
    )
    max_seqs: int = Field(default=1024, ge=1, le=100_000, description="Running requests at most.")
    kv_reserve: Annotated[float, Field(ge=0, le=1)] | Literal["peak"] = Field(
        default="peak",
        description="What admission keeps for outputs: 'peak' lets in what keeps the predicted"
        " peak of the batch within the cache (NanoFlow); a number is the share of the estimated"
        " output reserved for each request: 0 is vLLM's greedy rule, 0.5 the average footprint.",
    )
    overlap: Overlaps = OverlapPartial(kind="partial", h=0.5)
    estimate: Estimator = Estimator()
    rules: Literal["vllm", "sglang"] = Field(
        default="vllm", description="Scheduling rules of the engine: vLLM V1's or SGLang's."
    )
    reserve_prompt: bool = Field(
        default=False,
        description="Admit only if the whole prompt fits the free KV blocks (vLLM from 0.19 on).",
    )
    token_quantum: int = Field(
        default=1,
        ge=1,
        le=4096,
        description="Dense operators cost what this multiple of tokens costs (NanoFlow: 128).",
    )
    arrivals: bool = Field(
        default=False, description="Requests come at the pool's times instead of all at once."
    )
    ranks: int = Field(
        default=1, ge=1, le=64, description="Data-parallel replicas that share the pool."
    )
    disaggregated: Disaggregated | None = Field(
        default=None, description="Prefill and decode replicas instead of one batch engine."
    )
    parameters: dict[str, dict[str, float | str | bool]] = Field(
        default_factory=dict, description="Per order: parameters other than its defaults."
    )

    @field_validator("parameters")
    @classmethod
    def _of_orders(
        cls, given: dict[str, dict[str, float | str | bool]]
    ) -> dict[str, dict[str, float | str | bool]]:
        for name in given:
            known(ORDERS.check, name)
        return given

    @field_validator("model")
    @classmethod
    def _modelknown(cls, name: str) -> str:
        return known(model_named, name)

    @field_validator("gpu")
    @classmethod
    def _gpuknown(cls, name: str) -> str:
        return known(gpu_named, name)

    @model_validator(mode="after")
    def _can_sample(self) -> ServingConfig:
        if self.arrivals and self.estimate.kind == "sample":
            raise ValueError("estimate: nothing can be sampled when requests arrive over time")
        return self

    @model_validator(mode="after")
    def _can_disaggregate(self) -> ServingConfig:
        wanted = {"rules": "vllm", "kv_reserve": 0.0, "reserve_prompt": False, "arrivals": False}
        wanted |= {"ranks": 1, "gpus": 1}
        wrong = [name for name, value in wanted.items() if getattr(self, name) != value]
        if self.disaggregated is not None and wrong:
            allowed = ", ".join(f"{name}: {wanted[name]}" for name in wrong)
            raise ValueError(f"disaggregated: this engine has rules of its own; set {allowed}")
        return self

    @model_validator(mode="after")
    def _fits_memory(self) -> ServingConfig:
        check_rates(self)
        overlap_named(**self.overlap.model_dump())
        memory = gpu_named(self.gpu).memory_bytes * self.gpus
        weights = self.shape().weight_bytes
        if weights + self.kv_bytes() > memory:
            raise ValueError(
                f"memory: {weights / 1e9:.1f} GB of weights and {self.kv_bytes() / 1e9:.1f} GB of"
                f" KV cache exceed {memory / 1e9:.0f} GB"
            )
        return self

    def replicas(self) -> int:
        """Return the engines that share the pool, each with `gpus` GPUs."""
        split = self.disaggregated
        return self.ranks if split is None else split.prefill + split.decode

    def shape(self) -> LlmShape:
        """Return the model with values of the configured size."""
        return model_named(self.model).with_value_bytes(self.value_bytes)

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
        return self.workload.usual_block_tokens()
