"""What the kinds on simulated GPUs share: which GPU, which types, and what a seed means.

Seed 0 has the model's constants; every other seed draws each of them anew within a quarter up or
down. An interval over seeds is thus what the constants' uncertainty does to a number. It says
nothing of what the model leaves out.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from experiments.kinds.base import Config
from experiments.kinds.tuning_shapes import Shape
from tuning.simulated.setting import Setting, setting
from tuning.templates.cutlass.params import ACCUMULATES, OUTPUTS
from tuning.templates.cutlass.problem import Precision

GpuName = Literal["t4", "a100-80", "rtx3070", "rtx4090", "h100", "h200"]


class GpuConfig(Config):
    """Fields of every kind on a simulated GPU."""

    gpu: GpuName = Field(default="t4", description="Simulated; see sim.gpu.kernel_hardware.")
    element: Literal["float16", "bfloat16", "int8"] = Field(
        default="float16", description="Type of A and B."
    )
    accumulate: Literal["float32", "float16", "int32"] = Field(
        default="float32", description="Type of sums."
    )
    family: str = Field(default="", max_length=40, description="What figures group runs by.")

    def setting(self, seed: int) -> Setting:
        """Return GPU, types and constants.

        Raises:
            ValueError: the types do not go together.
        """
        if self.accumulate not in ACCUMULATES[self.element]:
            raise ValueError(f"accumulate: {self.element} is not summed in {self.accumulate}")
        output = OUTPUTS[self.element][0]
        return setting(self.gpu, Precision(self.element, self.accumulate, output), seed)


class OneOperatorConfig(GpuConfig):
    """Fields of a kind that looks at one operator."""

    operator: Shape

    @field_validator("operator")
    @classmethod
    def _possible(cls, shape: Shape) -> Shape:
        shape.operator()
        return shape


def own_fields(config: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the kind's own configuration."""
    return {name: value for name, value in config.items() if name not in ("policy", "seed")}
