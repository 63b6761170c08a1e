"""Run kind `tuning-gpu-published`: the kernel simulator against a time that somebody published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from experiments.kinds.base import Config, Outcome, register
from experiments.kinds.tuning_gpu_config import own_fields


class PublishedConfig(Config):
    """Which."""

    time: str = Field(description="Name in tuning.simulated.published.PUBLISHED.")

    @field_validator("time")
    @classmethod
    def _known(cls, name: str) -> str:
        from tuning.simulated.published import PUBLISHED

        if name not in PUBLISHED:
            raise ValueError(f"no published time is called {name!r} ({', '.join(PUBLISHED)})")
        return name


@register("tuning-gpu-published")
class TuningGpuPublished:
    """Says how far off absolute times are."""

    Config: ClassVar[type[PublishedConfig]] = PublishedConfig
    policies: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        "simulated_us": "us; of the best native candidate",
        "published_us": "us; as published",
        "ratio": "1; simulated_us / published_us",
        "error": "1; the larger of ratio and its inverse; lower is better",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is; nothing depends on this machine."""
        return config

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Compare."""
        from tuning.simulated.published import PUBLISHED

        wanted = PublishedConfig.model_validate(own_fields(config))
        found = PUBLISHED[wanted.time]
        ratio = found.simulated_ms(int(config["seed"])) / found.milliseconds
        metrics = {
            "simulated_us": 1e3 * ratio * found.milliseconds,
            "published_us": 1e3 * found.milliseconds,
            "ratio": ratio,
            "error": max(ratio, 1.0 / ratio),
        }
        return Outcome(metrics, notes=[f"NVIDIA/cutlass {found.source}"])


def described(name: str) -> tuple[str, str]:
    """Return the GPU of a published time, and what was computed in short lines."""
    from tuning.operators import Gemm
    from tuning.simulated.published import PUBLISHED

    found = PUBLISHED[name]
    first = found.first
    shape = f"{first.m}\nx{first.n}\nx{first.k}" if isinstance(first, Gemm) else first.text()
    if found.second is None:
        return found.gpu, shape
    kind = "fused" if found.fused else "two"
    eight = "\nint8" if found.precision.element == "int8" else ""
    return found.gpu, f"{shape}\n+ x128\n{kind}{eight}"
