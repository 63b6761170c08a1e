"""Run kind `tuning-codesign`: what a change of the network costs in speed (Bolt section 3.3).

Throughput is measured, on random weights. Runs of two variants are minutes apart, so each also
times the unchanged network in eager PyTorch, in turn with its own: claims compare ratios to that
yardstick. Accuracy would need training on ImageNet and is not
measured: figures cite the paper's, from memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from experiments.kinds.base import Outcome, register
from experiments.kinds.tuning_bench import SPENT, own_folder
from experiments.kinds.tuning_network import (
    NetworkConfig,
    build,
    padded_in,
    pairs_in,
    session_in,
)
from experiments.kinds.tuning_network_race import OURS, race_networks
from experiments.kinds.tuning_shapes import fields_of, lacking
from policies.registry import Registry
from policies.search.base import SEARCHES


@register("tuning-codesign")
class TuningCodesign:
    """Compares variants of networks."""

    exclusive: ClassVar[bool] = True
    Config: ClassVar[type[NetworkConfig]] = NetworkConfig
    policies: ClassVar[Registry[Any]] = SEARCHES
    needs: ClassVar[tuple[str, ...]] = ("torch", "tvm")
    metrics: ClassVar[Mapping[str, str]] = {
        "images_s": "images/s; higher is better",
        "eager_images_s": "images/s of eager PyTorch, the faster of both layouts",
        "speedup_over_eager": "1; images_s / eager_images_s, timed in turn; higher is better",
        "speedup_over_base": "1; images_s / images/s of the unchanged network in eager PyTorch,"
        " timed in turn: comparable between runs; higher is better",
        "ours_ms": "ms; one call; lower is better",
        "gflop": "10^9 multiplications and additions per image, of convolutions and dense layers",
        "parameters_m": "millions of weights and biases, deploy form",
        "pairs_fused": "kernels that run and are back-to-back pairs",
        "padded": "kernels that run on padded channels",
        "build_s": "s; from the PyTorch module to the executable, all tuning included",
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
        from tuning.models import layers, model
        from tuning.models.variant import Variant

        wanted = NetworkConfig.model_validate(fields_of(config))
        search, seed = str(config["policy"]), int(config["seed"])
        with own_folder() as folder, session_in(folder, wanted, search, seed) as session:
            networks = build(wanted, session, seed)
        base = model(wanted.model, seed, Variant(image=wanted.image))
        race = race_networks(networks, wanted.threads, wanted.samples, base)
        ours_ms, eager_ms = (race.median_ms(name) for name in (OURS, race.eager()))
        base_ms = race.median_ms(race.eager("base "))
        flops = sum(op.flops * count for op, count in layers(wanted.model, 1, wanted.variant()))
        metrics = {
            "images_s": 1e3 * wanted.batch / ours_ms,
            "eager_images_s": 1e3 * wanted.batch / eager_ms,
            "speedup_over_eager": eager_ms / ours_ms,
            "speedup_over_base": base_ms / ours_ms,
            "ours_ms": ours_ms,
            "gflop": flops / 1e9,
            "parameters_m": sum(p.numel() for p in networks.eager.parameters()) / 1e6,
            "pairs_fused": pairs_in(networks.built),
            "padded": padded_in(networks.built),
            "build_s": networks.build_s,
            **networks.spent,
        }
        notes = [decision.text() for decision in networks.built.decisions]
        return Outcome(metrics, notes=notes)
