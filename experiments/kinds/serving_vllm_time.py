"""Run kind `serving-vllm-time`: step costs fitted on this machine, judged on other pools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from experiments.kinds.base import Config, Outcome, register
from experiments.kinds.serving_workloads import known
from serving.vllm.model import dummy_named

JUDGED = ("mix", "prefix", "outputs")


class TimeConfig(Config):
    """Configuration of `serving-vllm-time`."""

    model: str = Field(default="small", description="Decoder with dummy weights.")
    repeats: int = Field(default=5, ge=1, le=100, description="Turns of the judged pools.")
    scale: float = Field(default=1.0, gt=0, le=100, description="Of the pools' sizes.")
    dtype: Literal["float32", "bfloat16"] = Field(
        default="float32", description="Type of weights and KV cache."
    )

    @field_validator("model")
    @classmethod
    def _model_known(cls, name: str) -> str:
        return known(dummy_named, name)


def _metrics() -> dict[str, str]:
    found = {
        "worst_error": "1; largest |predicted / measured - 1| of the judged pools; lower is better",
        "worst_plain_error": "1; the same of the fit without distinct KV tokens; lower is better",
    }
    for name in JUDGED:
        found |= {
            f"{name}_ratio": f"1; pool {name}: predicted / measured CPU time, median of repeats",
            f"{name}_ratio_low": "1; the same with the slowest repeat",
            f"{name}_ratio_high": "1; the same with the fastest repeat",
            f"{name}_measured_s": "s of CPU time; median of the repeats",
        }
    return found | {
        "step_ns": "ns; every step",
        "prefill_token_ns": "ns; per token of a prompt",
        "decode_ns": "ns; per request that decodes",
        "pair_ns": "ns; per query-key pair of prefill",
        "kv_token_ns": "ns; per KV token that decoding reads",
        "distinct_kv_token_ns": "ns; per distinct one among them",
        "fitted_steps": "measured steps that the fit counts",
        "disturbed_steps": "measured steps left out as disturbed",
    }


@register("serving-vllm-time")
class VllmTime:
    """Predicts the CPU time of vLLM runs from simulated steps."""

    exclusive: ClassVar[bool] = True
    Config: ClassVar[type[TimeConfig]] = TimeConfig
    policies: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ("vllm",)
    metrics: ClassVar[Mapping[str, str]] = _metrics()

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is; the machine is told in the provenance."""
        return config

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Measure, fit, judge."""
        from serving.vllm.judge import calibrate

        fields = {k: v for k, v in config.items() if k not in ("policy", "seed")}
        wanted = TimeConfig.model_validate(fields)
        given = {"repeats": wanted.repeats, "scale": wanted.scale, "dtype": wanted.dtype}
        found = calibrate(dummy_named(wanted.model), seed=int(config["seed"]), **given)
        return Outcome(_values(found), notes=[_note(found)])


def _note(found: Any) -> str:
    about = found.about
    return f"vLLM {about['version']}, torch {about['torch']}, {about['threads']} thread, CPU time"


def _values(found: Any) -> dict[str, Any]:
    """Return the metrics of a `serving.vllm.judge.Calibration`."""
    from serving.vllm.calibration import TERMS

    values: dict[str, Any] = {
        "worst_error": found.worst_error,
        "worst_plain_error": max(abs(one.plain_s / one.middle_s - 1.0) for one in found.judged),
        "fitted_steps": found.fit.steps,
        "disturbed_steps": found.fit.disturbed,
    }
    for one in found.judged:
        values[f"{one.name}_ratio"] = one.predicted_s / one.middle_s
        values[f"{one.name}_ratio_low"] = one.predicted_s / max(one.measured_s)
        values[f"{one.name}_ratio_high"] = one.predicted_s / min(one.measured_s)
        values[f"{one.name}_measured_s"] = one.middle_s
    for term, ns in zip(TERMS, found.fit.coefficients_ns, strict=True):
        values[f"{term}_ns"] = ns
    return values
