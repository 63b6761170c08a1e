"""What the tuning kinds share: operators as configuration, and how they are tuned and timed."""

from __future__ import annotations

import importlib.util
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from experiments.kinds.base import Config
from experiments.setup.packages import PROGRAMS
from policies.search.base import Budget
from tuning.operators import Conv2d, Epilogue, Gemm, Operator

UNLIMITED = 1_000_000
"""Trials that no space of templates has."""

Extent = Annotated[int, Field(ge=1, le=1 << 20)]
Two = Annotated[list[Annotated[int, Field(ge=0, le=1 << 12)]], Field(min_length=2, max_length=2)]
"""Rows and columns."""


class GemmShape(Config):
    """D (m x n) = epilogue(A (m x k) B (k x n)), B a weight."""

    kind: Literal["gemm"]
    m: Extent = Field(description="Rows.")
    n: Extent = Field(description="Columns.")
    k: Extent = Field(description="Depth.")
    batch: Extent = Field(default=1, description="Products that share B.")
    epilogue: str = Field(default="bias+relu", description="Steps, such as bias+gelu; or none.")

    def operator(self) -> Gemm:
        """Return what it describes."""
        chain = Epilogue.parse(self.epilogue)
        return Gemm(self.m, self.n, self.k, self.batch, epilogue=chain)


class ConvShape(Config):
    """A convolution in NHWC."""

    kind: Literal["conv2d"]
    batch: Extent = Field(default=1, description="Images.")
    height: Extent = Field(description="Input rows.")
    width: Extent = Field(description="Input columns.")
    in_channels: Extent = Field(description="Input channels.")
    out_channels: Extent = Field(description="Output channels.")
    kernel: Two = Field(default=[3, 3], description="Rows and columns of the kernel.")
    stride: Two = Field(default=[1, 1], description="Stride.")
    padding: Two = Field(default=[1, 1], description="Zeros on either side.")
    epilogue: str = Field(default="bias+relu", description="Steps, such as bias+gelu; or none.")

    def operator(self) -> Conv2d:
        """Return what it describes."""
        return Conv2d(
            *(self.batch, self.height, self.width, self.in_channels, self.out_channels),
            kernel=(self.kernel[0], self.kernel[1]),
            stride=(self.stride[0], self.stride[1]),
            padding=(self.padding[0], self.padding[1]),
            epilogue=Epilogue.parse(self.epilogue),
        )


Shape = Annotated[GemmShape | ConvShape, Field(discriminator="kind")]


class TuningConfig(Config):
    """Fields of every tuning kind. Every seed is a repeat with operands of its own."""

    threads: int = Field(default=1, ge=1, le=256, description="Threads of kernels and rivals.")
    isa: Literal["avx512", "avx2", "generic"] | None = Field(
        default=None, description="Vectors; the widest of the CPU if null."
    )
    trials: int = Field(default=64, ge=1, le=100_000, description="Candidates per operator.")
    budget_s: float = Field(
        default=120.0, gt=0, le=86_400, description="Seconds of tuning per operator."
    )
    by_seconds: bool = Field(
        default=False, description="Whether only `budget_s` ends a search, whatever `trials` says."
    )
    samples: int = Field(default=15, ge=3, le=1000, description="Timed samples of each entrant.")
    cache: Literal["warm", "cold"] = Field(
        default="warm", description="Whether caches are emptied before each call."
    )
    objects: Literal["cold", "warm"] = Field(
        default="cold", description="Whether objects compiled before may be used."
    )

    def budget(self) -> Budget:
        """Return what a search may spend on one operator."""
        return Budget(UNLIMITED if self.by_seconds else self.trials, self.budget_s)


class WarmConfig(TuningConfig):
    """Fields of kinds that time in one process with caches as the call before left them.

    Raises:
        ValueError: cold caches are asked for, which those kinds do not make.
    """

    @field_validator("cache")
    @classmethod
    def _warm(cls, cache: str) -> str:
        if cache != "warm":
            raise ValueError("this kind times with warm caches only; leave `cache` out")
        return cache


class OperatorConfig(TuningConfig):
    """One operator."""

    operator: Shape
    family: str = Field(
        default="", max_length=40, description="What figures and claims group shapes by."
    )

    @field_validator("operator")
    @classmethod
    def _possible(cls, shape: Shape) -> Shape:
        shape.operator()
        return shape


class PairConfig(TuningConfig):
    """Two operators, the second on the output of the first."""

    first: Shape
    second: Shape
    family: str = Field(default="", max_length=40, description="What figures group shapes by.")

    @model_validator(mode="after")
    def _fit(self) -> PairConfig:
        self.pair()
        return self

    def pair(self) -> Operator:
        """Return both as one operator."""
        from tuning.operators import Pair

        return Pair(self.first.operator(), self.second.operator())


def lacking(config: dict[str, Any], metaschedule: bool = False) -> tuple[str, ...]:
    """Return what a run needs beyond the kind's `needs` and this machine has not."""
    found = []
    if not PROGRAMS["g++"].present:
        found.append(f"g++ ({PROGRAMS['g++'].remedy})")
    if metaschedule and importlib.util.find_spec("tvm") is None:
        found.append("tvm")
    return tuple(found)


def fields_of(config: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the kind's own configuration."""
    return {name: value for name, value in config.items() if name not in ("policy", "seed")}
