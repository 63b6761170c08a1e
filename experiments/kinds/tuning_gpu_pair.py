"""Run kind `tuning-gpu-pair`: two products in one kernel or two, on a simulated GPU (Tables 1, 2).

Extents that no 16-byte access fits are padded for both ways, so that only the fusion differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import model_validator

from experiments.kinds.base import Outcome, register
from experiments.kinds.tuning_gpu_config import GpuConfig, own_fields
from experiments.kinds.tuning_shapes import Shape


class GpuPairConfig(GpuConfig):
    """Two operators, the second on the output of the first."""

    first: Shape
    second: Shape

    @model_validator(mode="after")
    def _fit(self) -> GpuPairConfig:
        from tuning.operators import Pair

        Pair(self.first.operator(), self.second.operator())
        return self


def _us(seconds: float | None) -> float | None:
    return None if seconds is None else 1e6 * seconds


@register("tuning-gpu-pair")
class TuningGpuPair:
    """Compares a pair fused and not."""

    Config: ClassVar[type[GpuPairConfig]] = GpuPairConfig
    policies: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        "unfused_us": "us; two kernels, epilogues fused, the intermediate in memory",
        "register_us": "us; one kernel, the intermediate in registers; null if none can be",
        "shared_us": "us; one kernel, the intermediate in shared memory; null if none can be",
        "speedup": "1; unfused_us over the faster of both; null if none can be; higher is better",
        "fused": "1 if one kernel is faster, else 0",
        "padded": "1 if extents were padded to 16-byte accesses, else 0",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is; nothing depends on this machine."""
        return config

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Choose.

        Raises:
            NoKernelError: one of the products has no kernel.
        """
        from tuning.simulated.choices import choose_pair

        wanted = GpuPairConfig.model_validate(own_fields(config))
        where = wanted.setting(int(config["seed"]))
        found = choose_pair(wanted.first.operator(), wanted.second.operator(), where)
        metrics = {
            "unfused_us": 1e6 * found.apart_s,
            "register_us": _us(found.register_s),
            "shared_us": _us(found.shared_s),
            "speedup": None if found.fused_s is None else found.apart_s / found.fused_s,
            "fused": int(found.fused),
            "padded": int(found.padded),
        }
        return Outcome(metrics)
