"""Run kind `serving-gpu-engine`: an order on the small GPU engine, as it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from experiments.kinds import serving_measured as measured
from experiments.kinds.base import Config, Outcome, register
from experiments.kinds.serving_workloads import SHA256
from policies.ordering.base import ORDERS
from policies.registry import Registry


class GpuEngineConfig(Config):
    """Configuration of `serving-gpu-engine`."""

    file: str = Field(
        default="gpu/engine.jsonl", description="A path, or one below the data folder."
    )
    sha256: str | None = Field(
        default=None, pattern=SHA256, description="Digest of the file; filled in when resolved."
    )
    mode: Literal["sequential", "split", "overlapped"] = Field(
        default="overlapped",
        description="The whole batch on one stream, two nano-batches on one, or on two.",
    )
    repeat: int = Field(default=0, ge=0, description="Turn: the same again, others between.")


@register("serving-gpu-engine")
class ServingGpuEngine:
    """Compares orders on real kernels, and with what was simulated of the same steps."""

    Config: ClassVar[type[GpuEngineConfig]] = GpuEngineConfig
    policies: ClassVar[Registry[Any]] = ORDERS
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        "throughput_tokens_s": "tokens/s; (input + output, cached ones counted) / time of all "
        "steps; higher is better",
        "makespan_s": "s; all steps, on the device; lower is better",
        "steps": "batch steps",
        "step_ms": "ms; mean of a step",
        "launch_bound_share": "1; share of the time in steps that the CPU took longer to queue",
        "simulated_sum_s": "s; the same steps, simulated at data-sheet rates without overlap",
        "simulated_half_s": "s; the same, half of the shorter part hidden",
        "simulated_max_s": "s; the same, perfect overlap",
        "simulated_share": "1; simulated / measured; without overlap, half in overlapped runs",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Fill in the digest of the file.

        Raises:
            ValueError: it is another one than that of the digest given.
        """
        return measured.with_digest(config)

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return the measurement, if it is not here, and the GPU that it takes."""
        return measured.lacking(config, "engine")

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Read the run.

        Raises:
            ValueError: the file does not hold it whole.
        """
        from serving.overlap.engine_runs import read_runs

        path = measured.located(config)
        runs = read_runs(path)
        key = (str(config["policy"]), str(config["mode"]), int(config["repeat"]))
        if key not in runs:
            held = sorted({name for name, *_ in runs})
            raise ValueError(f"{path} holds no whole run {key}; its orders: {', '.join(held)}")
        run = runs[key]
        fair = "half" if config["mode"] == "overlapped" else "sum"
        return Outcome(
            {
                "throughput_tokens_s": run.tokens / run.seconds,
                "makespan_s": run.seconds,
                "steps": run.steps,
                "step_ms": 1e3 * run.seconds / run.steps,
                "launch_bound_share": run.launch_bound,
                "simulated_sum_s": run.simulated_s["sum"],
                "simulated_half_s": run.simulated_s["half"],
                "simulated_max_s": run.simulated_s["max"],
                "simulated_share": run.simulated_s[fair] / run.seconds,
            },
            notes=[run.origin],
        )
