"""Run kind `tuning-model`: a whole network tuned from nothing, against PyTorch's own execution.

PyTorch runs the folded network eagerly, in NCHW and in NHWC, the faster of which counts, and as
TorchScript frozen for inference. MetaSchedule's time for the same network is measured on some of
its operators, chosen over all sizes, and extrapolated as a range.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from experiments.kinds.base import Outcome, Scalar, register
from experiments.kinds.tuning_bench import SPENT, own_folder
from experiments.kinds.tuning_extrapolation import extrapolated, spread
from experiments.kinds.tuning_network import (
    NetworkConfig,
    Networks,
    build,
    padded_in,
    pairs_in,
    session_in,
)
from experiments.kinds.tuning_network_race import FROZEN, OURS, NetworkRace, race_networks
from experiments.kinds.tuning_shapes import fields_of, lacking
from policies.registry import Registry
from policies.search.base import SEARCHES


def _ratio(other: str) -> dict[str, str]:
    name = f"speedup_over_{other}"
    return {
        name: f"1; time of {other} / ours, median over rounds; higher is better; null if not asked",
        f"{name}_low": "1; lower end of its 95 % interval over rounds",
        f"{name}_high": "1; upper end",
    }


class TuningModelConfig(NetworkConfig):
    """Configuration of `tuning-model`."""

    plain: bool = Field(
        default=True, description="Build the network without the passes too, to compare."
    )
    replay: bool = Field(
        default=True, description="Build it once more from the records, to see how long it takes."
    )
    rival_tasks: int = Field(
        default=0, ge=0, le=100, description="Operators that MetaSchedule tunes, over all sizes."
    )
    rival_trials: int = Field(default=64, ge=1, le=100_000, description="Its trials per operator.")
    rival_budget_s: float = Field(
        default=600.0, gt=0, le=86_400, description="Seconds per operator after which it is ended."
    )


# paper: bolt fig 10
@register("tuning-model")
class TuningModel:
    """Compares searches by what a whole network gains, and how long that takes."""

    exclusive: ClassVar[bool] = True
    Config: ClassVar[type[TuningModelConfig]] = TuningModelConfig
    policies: ClassVar[Registry[Any]] = SEARCHES
    needs: ClassVar[tuple[str, ...]] = ("torch", "tvm")
    metrics: ClassVar[Mapping[str, str]] = {
        "ours_ms": "ms; one call; lower is better",
        "epilogues_ms": "ms; with epilogue fusion, without pairs and padding; null if not asked",
        "plain_ms": "ms; without any pass: bias and activation are untuned loops of TVM; null if"
        " not asked",
        "eager_ms": "ms; eager PyTorch, the faster of both layouts",
        "frozen_ms": "ms; PyTorch's TorchScript, frozen and optimised for inference",
        **_ratio("eager"),
        **_ratio("frozen"),
        **_ratio("epilogues"),
        **_ratio("plain"),
        "disturbed": "1; share of these samples during which a thread lost its core, to another"
        " program or to a thread of another pool in this process",
        "passes_gain": "1; time without pairs and padding / time with them, before the faster of"
        " both was kept",
        "images_s": "images/s; higher is better",
        "build_s": "s; from the PyTorch module to the executable, all tuning included; lower is"
        " better",
        "replay_s": "s; the same once more from the records; lower is better; null if not asked",
        "kernels": "kernels of ours that run in one call of the network",
        "operators": "different operators among these",
        "pairs_fused": "kernels that run and are back-to-back pairs",
        "padded": "kernels that run on padded channels",
        "worst_error": "1; largest difference from PyTorch / PyTorch's largest output",
        "metaschedule_s": "s; MetaSchedule's time for all operators, extrapolated from the mean of"
        " those that it finished; null if not asked",
        "metaschedule_low_s": "s; the same from the least of them",
        "metaschedule_high_s": "s; the same from the greatest",
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
            race = race_networks(networks, wanted.threads, wanted.samples)
            replay_s = _replay_s(wanted, folder, search, seed) if wanted.replay else None
            rival, note = _metaschedule(wanted, folder, seed)
        metrics = _metrics(wanted, networks, race) | rival
        metrics |= {"replay_s": replay_s, **networks.spent}
        notes = [decision.text() for decision in networks.built.decisions]
        return Outcome(metrics, {"layers": _layers(networks)}, [*note, *networks.notes, *notes])


def _metrics(config: TuningModelConfig, networks: Networks, race: NetworkRace) -> dict[str, Scalar]:
    ours, layers = race.median_ms(OURS), networks.built.layers
    others: dict[str, Scalar] = {}
    for name, entrant in {"eager": race.eager(), FROZEN: FROZEN}.items():
        others |= _compared(name, entrant, race)
    for name in ("epilogues", "plain"):
        same = networks.bare.get(name) is networks.built
        others |= _compared(name, OURS if same else name, race)
    return {
        "ours_ms": ours,
        **others,
        "disturbed": race.disturbed,
        "passes_gain": networks.passes_gain,
        "images_s": 1e3 * config.batch / ours,
        "build_s": networks.build_s,
        "kernels": len(layers),
        "operators": len({layer.operator for layer in layers}),
        "pairs_fused": pairs_in(networks.built),
        "padded": padded_in(networks.built),
        "worst_error": networks.worst_error,
    }


def _compared(name: str, entrant: str, race: NetworkRace) -> dict[str, Scalar]:
    """Return the time of `name`, which ran as `entrant`, and how much faster ours is."""
    found, metric = race.ratio(entrant), f"speedup_over_{name}"
    if found is None:
        return dict.fromkeys((f"{name}_ms", metric, f"{metric}_low", f"{metric}_high"))
    ratios = {metric: found.value, f"{metric}_low": found.low, f"{metric}_high": found.high}
    return {f"{name}_ms": race.median_ms(entrant), **ratios}


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


def _metaschedule(
    config: TuningModelConfig, folder: Path, seed: int
) -> tuple[dict[str, Scalar], list[str]]:
    """Return MetaSchedule's seconds for all operators, and a note on how they were found."""
    from tuning.models import layers

    if not config.rival_tasks:
        return dict(extrapolated([], 0)), []
    from tuning.metaschedule import tune_metaschedule

    tasks = [operator for operator, _ in layers(config.model, config.batch, config.variant())]
    tasks.sort(key=lambda operator: operator.flops)
    given = (config.rival_trials, config.threads, config.rival_budget_s)
    found = [
        tune_metaschedule(tasks[place], *given, folder / f"metaschedule-{place}", seed)
        for place in spread(len(tasks), config.rival_tasks)
    ]
    done = [one.seconds for one in found if one.status == "ok"]
    note = (
        f"MetaSchedule: {len(done)} of {len(tasks)} operators finished in {sum(done):.0f} s,"
        f" extrapolated; {len(found) - len(done)} ended early or failed and do not count"
    )
    return dict(extrapolated(done, len(tasks))), [note]
