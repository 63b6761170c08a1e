"""Run kind `tuning-gpu-padding`: channels as they are, or padded, on a simulated GPU (Table 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from experiments.kinds.base import Outcome, register
from experiments.kinds.tuning_gpu_config import OneOperatorConfig, own_fields


@register("tuning-gpu-padding")
class TuningGpuPadding:
    """Compares an operator on its own tensor and on a padded one."""

    Config: ClassVar[type[OneOperatorConfig]] = OneOperatorConfig
    policies: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        "plain_us": "us; the best kernel on the tensor as it is; null if none can be",
        "padded_us": "us; the best kernel on the padded tensor",
        "pad_us": "us; the kernel that pads",
        "speedup": "1; plain_us / (padded_us + pad_us); higher is better",
        "kernel_speedup": "1; plain_us / padded_us; higher is better",
        "copy_share": "1; pad_us / (padded_us + pad_us); lower is better",
        "access": "elements that one access takes without padding",
        "padded": "1 if padding pays, its kernel counted, else 0",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is; nothing depends on this machine."""
        return config

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Choose.

        Raises:
            NoKernelError: there is no kernel even with padding.
        """
        from tuning.simulated.choices import choose_padding

        wanted = OneOperatorConfig.model_validate(own_fields(config))
        where = wanted.setting(int(config["seed"]))
        found = choose_padding(wanted.operator.operator(), where)
        plain, padded = found.plain_s, found.padded_s + found.pad_s
        metrics = {
            "plain_us": None if plain is None else 1e6 * plain,
            "padded_us": 1e6 * found.padded_s,
            "pad_us": 1e6 * found.pad_s,
            "speedup": None if plain is None else plain / padded,
            "kernel_speedup": None if plain is None else plain / found.padded_s,
            "copy_share": found.pad_s / padded,
            "access": found.access,
            "padded": int(found.padded),
        }
        return Outcome(metrics)
