"""Run kind `tuning-model`: a whole network tuned from nothing, against PyTorch's own execution.

PyTorch runs the folded network eagerly, in NCHW and in NHWC; the faster of the two counts. The
time of MetaSchedule for the same network is measured on some of its operators and extrapolated.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from experiments.kinds.base import Outcome, Scalar, register
from experiments.kinds.tuning_bench import SPENT, own_folder, spent_on
from experiments.kinds.tuning_network import (
    NetworkConfig,
    Networks,
    applied,
    build,
    race_networks,
    session_in,
    times_of,
)
from experiments.kinds.tuning_shapes import fields_of, lacking
from policies.registry import Registry
from policies.search.base import SEARCHES


class TuningModelConfig(NetworkConfig):
    """Configuration of `tuning-model`."""

    plain: bool = Field(
        default=True, description="Build the network without the passes too, to compare."
    )
    replay: bool = Field(
        default=True, description="Build it once more from the records, to see how long it takes."
    )
    rival_tasks: int = Field(
        default=0, ge=0, le=100, description="Operators that MetaSchedule tunes, largest first."
    )
    rival_trials: int = Field(default=64, ge=1, le=100_000, description="Its trials per operator.")
    rival_budget_s: float = Field(
        default=600.0, gt=0, le=86_400, description="Seconds per operator after which it is ended."
    )


@register("tuning-model")
class TuningModel:
    """Compares searches by what a whole network gains, and how long that takes."""

    exclusive: ClassVar[bool] = True
    Config: ClassVar[type[TuningModelConfig]] = TuningModelConfig
    policies: ClassVar[Registry[Any]] = SEARCHES
    needs: ClassVar[tuple[str, ...]] = ("torch", "tvm")
    metrics: ClassVar[Mapping[str, str]] = {
        "ours_ms": "ms; one call; lower is better",
        "plain_ms": "ms; the same without epilogue fusion, pairs and padding; null if not asked",
        "eager_ms": "ms; PyTorch, the faster of both layouts",
        "speedup_over_eager": "1; eager_ms / ours_ms; higher is better",
        "speedup_over_plain": "1; plain_ms / ours_ms; higher is better; null if not asked",
        "images_s": "images/s; higher is better",
        "build_s": "s; from the PyTorch module to the executable, all tuning included; lower is"
        " better",
        "replay_s": "s; the same once more from the records; lower is better; null if not asked",
        "operators": "different operators tuned",
        "pairs_fused": "pairs that run in one kernel",
        "padded": "operators that run padded",
        "worst_error": "1; largest difference from PyTorch / PyTorch's largest output",
        "metaschedule_s": "s; MetaSchedule's time for all operators, extrapolated from those"
        " measured; null if not asked",
        **SPENT,
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is; the machine is told in the provenance."""
        return config

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return programs that are not on this machine."""
        return lacking(config)

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Build, check, race.

        Raises:
            NothingMeasuredError: an operator has no kernel.
            GraphError: the network cannot be built.
            RuntimeError: its output is not PyTorch's.
        """
        wanted = TuningModelConfig.model_validate(fields_of(config))
        search, seed = str(config["policy"]), int(config["seed"])
        with own_folder() as folder:
            with session_in(folder, wanted, search, seed) as session:
                networks = build(wanted, session, seed, wanted.plain)
                spent = spent_on(session.tuned.values())
            samples = race_networks(networks, wanted.threads, wanted.samples)
            replay_s = _replay_s(wanted, folder, search, seed) if wanted.replay else None
            rival_s, note = _metaschedule_s(wanted, folder, seed)
        metrics = _metrics(wanted, networks, times_of(samples)) | {
            "replay_s": replay_s,
            "metaschedule_s": rival_s,
            **spent,
        }
        notes = [decision.text() for decision in networks.built.decisions]
        return Outcome(metrics, {"layers": _layers(networks)}, [*note, *notes])


def _metrics(
    config: TuningModelConfig, networks: Networks, times: dict[str, float]
) -> dict[str, Scalar]:
    plain = times.get("plain")
    return {
        "ours_ms": times["ours"],
        "plain_ms": plain,
        "eager_ms": times["eager"],
        "speedup_over_eager": times["eager"] / times["ours"],
        "speedup_over_plain": plain and plain / times["ours"],
        "images_s": 1e3 * config.batch / times["ours"],
        "build_s": networks.build_s,
        "operators": len({layer.operator.text() for layer in networks.built.layers}),
        "pairs_fused": applied(networks, "pair"),
        "padded": applied(networks, "padding"),
        "worst_error": networks.worst_error,
    }


def _layers(networks: Networks) -> dict[str, list[Any]]:
    """Return the table `layers`: each kernel call, with its time when it was tuned."""
    layers = networks.built.layers
    return {
        "operator": [layer.operator.text() for layer in layers],
        "candidate": [layer.best.candidate.text() for layer in layers],
        "median_ns": [layer.best.median_ns for layer in layers],
        "gflops": [layer.operator.flops / layer.best.median_ns for layer in layers],
    }


def _replay_s(config: TuningModelConfig, folder: Path, search: str, seed: int) -> float:
    """Return the seconds of building once more, with records and decisions that are there."""
    with session_in(folder, config, search, seed) as session:
        return build(config, session, seed).build_s


def _metaschedule_s(
    config: TuningModelConfig, folder: Path, seed: int
) -> tuple[float | None, list[str]]:
    """Return MetaSchedule's seconds for all operators, and a note on how they were found."""
    from tuning.models import layers

    if not config.rival_tasks:
        return None, []
    from tuning.metaschedule import tune_metaschedule

    tasks = layers(config.model, config.batch, config.variant())
    tasks.sort(key=lambda task: -task[0].flops * task[1])
    chosen = [operator for operator, _ in tasks[: config.rival_tasks]]
    spent = 0.0
    for place, operator in enumerate(chosen):
        own = folder / f"metaschedule-{place}"
        spent += tune_metaschedule(
            operator, config.rival_trials, config.threads, config.rival_budget_s, own, seed
        ).seconds
    note = f"MetaSchedule: {len(chosen)} of {len(tasks)} operators in {spent:.0f} s, extrapolated"
    return spent / len(chosen) * len(tasks), [note]
