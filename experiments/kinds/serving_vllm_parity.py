"""Run kind `serving-vllm-parity`: random runs on vLLM and in the simulator, step for step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from experiments.kinds.base import Config, Outcome, register


class ParityConfig(Config):
    """Configuration of `serving-vllm-parity`."""

    cases: int = Field(default=24, ge=1, le=1000, description="Random runs.")
    tightness: Literal["tight", "snug", "loose"] = Field(
        default="tight",
        description="KV cache: little more than the longest request, some more, or everything.",
    )
    admission: Literal["fcfs", "priority", "asked"] = Field(
        default="fcfs",
        description="How requests reach vLLM: in sequence, with priorities, or one by one, by an"
        " order that it asks.",
    )


@register("serving-vllm-parity")
class VllmParity:
    """Holds the simulator against the real scheduler, on every field of every step."""

    Config: ClassVar[type[ParityConfig]] = ParityConfig
    policies: ClassVar[None] = None
    needs: ClassVar[tuple[str, ...]] = ("vllm",)
    metrics: ClassVar[Mapping[str, str]] = {
        "runs": "random runs, with caching on and off, at once and staggered, in turn",
        "equal_runs": "runs in which every step is equal in every field; higher is better",
        "equal_share": "1; equal_runs / runs; higher is better",
        "steps": "steps compared",
        "equal_steps": "steps that are equal in every field; higher is better",
        "scheduled_tokens": "tokens that vLLM scheduled",
        "hit_tokens": "of prompts, found in vLLM's cache at first admissions",
        "resume_hit_tokens": "found there when preempted requests came back",
        "preemptions": "preemptions in vLLM",
        "admissions": "admissions in vLLM, resumptions too",
        "waiting_steps": "steps after whose scheduling requests wait",
        "full_steps": "steps after whose scheduling every KV block is in use",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is: nothing in it depends on the machine."""
        return config

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Start vLLM once, run all cases, compare."""
        import numpy as np

        from serving.vllm.cases import random_case, sizes_for_cases
        from serving.vllm.client import VllmEngine
        from serving.vllm.model import dummy_named
        from serving.vllm.predicted import predicted
        from serving.vllm.rows import first_difference

        fields = {k: v for k, v in config.items() if k not in ("policy", "seed")}
        wanted = ParityConfig.model_validate(fields)
        sums, parted = dict.fromkeys(VllmParity.metrics, 0), []
        with VllmEngine(sizes_for_cases(dummy_named("tiny"))) as engine:
            for index in range(wanted.cases):
                rng = np.random.default_rng([int(config["seed"]), index])
                case = random_case(
                    rng,
                    tightness=wanted.tightness,
                    admission=wanted.admission,
                    caching=index % 4 != 3,
                    staggered=index % 2 == 0,
                )
                given = (case.guess, case.plan, case.config)
                real = engine.run(case.workload, case.prompts, *given).rows
                simulated = predicted(case.workload, *given)
                _add(sums, simulated, real, case.config.kv_blocks)
                if (why := first_difference(simulated, real)) is not None:
                    parted.append(f"case {index}: {why}")
            version = engine.about["version"]
        metrics = sums | {"equal_share": sums["equal_runs"] / sums["runs"]}
        return Outcome(metrics, notes=[f"vLLM {version}, dummy weights, on the CPU", *parted])


def _add(sums: dict[str, int], simulated: list[Any], real: list[Any], blocks: int) -> None:
    """Count one run."""
    admitted = [one for row in real for one in row.admitted]
    sums["runs"] += 1
    sums["equal_runs"] += simulated == real
    sums["steps"] += len(real)
    sums["equal_steps"] += sum(a == b for a, b in zip(simulated, real, strict=False))
    sums["scheduled_tokens"] += sum(tokens for row in real for _, tokens, _ in row.scheduled)
    sums["hit_tokens"] += sum(hit for _, hit, before in admitted if not before)
    sums["resume_hit_tokens"] += sum(hit for _, hit, before in admitted if before)
    sums["preemptions"] += sum(len(row.preempted) for row in real)
    sums["admissions"] += len(admitted)
    sums["waiting_steps"] += sum(row.waiting > 0 for row in real)
    sums["full_steps"] += sum(row.kv_blocks == blocks for row in real)
