"""Run kind `tuning-gpu-operator`: one operator on a simulated GPU, by its best template.

Compared with what the same model gives kernels on CUDA cores (the most that a search without
tensor cores can reach), kernels whose epilogue is a kernel of its own, and the whole space instead
of the tens that the guidelines leave (Bolt Fig. 1, 8a, 8b, 9).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from experiments.kinds.base import Outcome, register
from experiments.kinds.tuning_gpu_config import OneOperatorConfig, own_fields


class GpuOperatorConfig(OneOperatorConfig):
    """Configuration of `tuning-gpu-operator`."""

    exhaustive: bool = Field(
        default=False, description="Whether the whole space is searched too, not only the tens."
    )


@register("tuning-gpu-operator")
class TuningGpuOperator:
    """Chooses the best template by the kernel simulator."""

    Config: ClassVar[type[GpuOperatorConfig]] = GpuOperatorConfig
    policies: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        "ours_us": "us; one call of the best native candidate; lower is better",
        "unfused_us": "us; the product, then one element-wise kernel for its epilogue",
        "cuda_cores_us": "us; the best tile without tensor cores, epilogue fused",
        "speedup": "1; unfused_us / ours_us; higher is better",
        "speedup_over_cuda_cores": "1; cuda_cores_us / ours_us; higher is better",
        "cuda_cores_share": "1; ours_us / cuda_cores_us",
        "tflops": "10^12 multiplications and additions/s; higher is better",
        "peak_share": "1; of the tensor cores' peak; higher is better",
        "native": "candidates that the guidelines leave",
        "whole": "candidates of the whole space; null if not asked",
        "whole_us": "us; the best of the whole space; null if not asked",
        "regret": "1; ours_us / whole_us; null if not asked; lower is better",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is; nothing depends on this machine."""
        return config

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Choose.

        Raises:
            NoKernelError: the templates have none.
            ValueError: the types do not go together.
        """
        from tuning.simulated.choices import chosen_text, unfused_s
        from tuning.simulated.cuda_cores import cuda_core_s
        from tuning.simulated.setting import best, natives, timed, whole

        wanted = GpuOperatorConfig.model_validate(own_fields(config))
        operator, where = wanted.operator.operator(), wanted.setting(int(config["seed"]))
        chosen = best(operator, where)
        apart, plain = unfused_s(operator, where), cuda_core_s(operator, where)
        peak = where.gpu.peak_flops(wanted.accumulate)
        space = whole(operator, where) if wanted.exhaustive else []
        least = timed(operator, space, where)[0].seconds if space else None
        metrics = {
            "ours_us": 1e6 * chosen.seconds,
            "unfused_us": 1e6 * apart,
            "cuda_cores_us": 1e6 * plain,
            "speedup": apart / chosen.seconds,
            "speedup_over_cuda_cores": plain / chosen.seconds,
            "cuda_cores_share": chosen.seconds / plain,
            "tflops": operator.flops / chosen.seconds / 1e12,
            "peak_share": operator.flops / chosen.seconds / peak,
            "native": len(natives(operator, where)),
            "whole": len(space) or None,
            "whole_us": None if least is None else 1e6 * least,
            "regret": None if least is None else chosen.seconds / least,
        }
        return Outcome(metrics, notes=[chosen_text(chosen)])
