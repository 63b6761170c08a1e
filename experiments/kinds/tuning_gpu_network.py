"""Run kind `tuning-gpu-network`: a network's products on a simulated GPU (Fig. 10, Tables 4 to 6).

Only convolutions and dense layers are counted. Accuracy would need training: figures cite it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from experiments.kinds.base import Outcome, register
from experiments.kinds.tuning_gpu_config import GpuConfig, own_fields
from tuning.models import FAMILIES
from tuning.models.variant import STAGES, Variant, aligned


class GpuNetworkConfig(GpuConfig):
    """Which network."""

    model: Literal[
        "vgg16", "vgg19", "resnet18", "resnet50", "repvgg_a0", "repvgg_a1", "repvgg_b0"
    ] = Field(description="Its name.")
    batch: int = Field(default=32, ge=1, le=1024, description="Images per call.")
    image: int = Field(default=224, ge=32, le=1024, description="Height and width of images.")
    activation: Literal["relu", "gelu", "hardswish", "softplus", "silu"] = "relu"
    deepen: bool = Field(
        default=False, description="RepVGG: a 1x1 convolution after each 3x3 but the last."
    )
    widths: list[Annotated[int, Field(ge=1, le=1 << 14)]] | None = Field(
        default=None,
        min_length=STAGES,
        max_length=STAGES,
        description="RepVGG: channels of the five stages; the paper's if null.",
    )
    align: int = Field(
        default=1, ge=1, le=1024, description="RepVGG: multiple that `widths` are rounded up to."
    )

    @model_validator(mode="after")
    def _fits(self) -> GpuNetworkConfig:
        if FAMILIES[self.model] != "repvgg" and (self.deepen or self.widths):
            raise ValueError("deepen: deepen and widths are of RepVGG")
        return self

    def variant(self) -> Variant:
        """Return what differs from the paper's network."""
        widths = None if self.widths is None else aligned(tuple(self.widths), self.align)
        return Variant(self.activation, self.deepen, widths, self.image)


@register("tuning-gpu-network")
class TuningGpuNetwork:
    """Compares networks and their variants."""

    Config: ClassVar[type[GpuNetworkConfig]] = GpuNetworkConfig
    policies: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ("torch",)
    metrics: ClassVar[Mapping[str, str]] = {
        "ours_ms": "ms; all products, padded, fused and back to back where faster",
        "apart_ms": "ms; without back-to-back kernels",
        "unfused_ms": "ms; without fused epilogues either",
        "cuda_cores_ms": "ms; on CUDA cores, epilogues fused",
        "images_s": "images/s; products alone; higher is better",
        "speed_over_plain": "1; images_s over that of the network with ReLU and the paper's"
        " channels, not deepened; higher is better",
        "speedup_over_cuda_cores": "1; cuda_cores_ms / ours_ms; higher is better",
        "speedup_of_epilogues": "1; unfused_ms / apart_ms; higher is better",
        "speedup_of_pairs": "1; apart_ms / ours_ms; higher is better",
        "pairs_fused": "back-to-back kernels",
        "padded": "kernels that run on padded channels",
        "operators": "different operators",
        "trials": "native candidates of all of them",
        "gflop": "10^9 multiplications and additions per image",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is; nothing depends on this machine."""
        return config

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Add up.

        Raises:
            NoKernelError: an operator has no kernel.
        """
        from tuning.models import layers
        from tuning.simulated.network import network_time

        wanted = GpuNetworkConfig.model_validate(own_fields(config))
        where = wanted.setting(int(config["seed"]))
        operators = layers(wanted.model, wanted.batch, wanted.variant())
        plain = layers(wanted.model, wanted.batch, Variant(image=wanted.image))
        found = network_time(operators, where)
        base = found if plain == operators else network_time(plain, where)
        flops = sum(operator.flops * count for operator, count in operators) / wanted.batch
        metrics = {
            "ours_ms": 1e3 * found.seconds,
            "apart_ms": 1e3 * found.apart_s,
            "unfused_ms": 1e3 * found.unfused_s,
            "cuda_cores_ms": 1e3 * found.cuda_cores_s,
            "images_s": wanted.batch / found.seconds,
            "speed_over_plain": base.seconds / found.seconds,
            "speedup_over_cuda_cores": found.cuda_cores_s / found.seconds,
            "speedup_of_epilogues": found.unfused_s / found.apart_s,
            "speedup_of_pairs": found.apart_s / found.seconds,
            "pairs_fused": found.pairs_fused,
            "padded": found.padded,
            "operators": found.operators,
            "trials": found.trials,
            "gflop": flops / 1e9,
        }
        return Outcome(metrics)
