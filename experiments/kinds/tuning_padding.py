"""Run kind `tuning-padding`: channels as they are, or filled up with zeros to whole vectors.

The copy into the padded tensor is made at every call and counted; weights are padded ahead. Both
ways are tuned and run side by side, and profiling decides (Bolt section 3.2.3, Table 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from experiments.kinds.base import Outcome, register
from experiments.kinds.tuning_bench import SPENT, bench
from experiments.kinds.tuning_shapes import OperatorConfig, fields_of, lacking
from policies.registry import Registry
from policies.search.base import SEARCHES


@register("tuning-padding")
class TuningPadding:
    """Compares an operator padded and not."""

    exclusive: ClassVar[bool] = True
    Config: ClassVar[type[OperatorConfig]] = OperatorConfig
    policies: ClassVar[Registry[Any]] = SEARCHES
    needs: ClassVar[tuple[str, ...]] = ("torch",)
    metrics: ClassVar[Mapping[str, str]] = {
        "padded_ns": "ns; the copy and the padded kernel; lower is better",
        "unpadded_ns": "ns; the operator as it is",
        "copy_ns": "ns; the copy alone",
        "speedup": "1; unpadded_ns / padded_ns, median over rounds; higher is better",
        "speedup_low": "1; lower end of its 95 % interval over rounds",
        "speedup_high": "1; upper end",
        "copy_share": "1; copy / (copy + padded kernel)",
        "padded": "1 if padding is faster beyond noise and so applied, else 0",
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
        """Tune, race, decide.

        Raises:
            NothingMeasuredError: no candidate ran.
            RuntimeError: the two ways were not compared; the message says why.
        """
        from tuning.decide import decide_padding

        wanted = OperatorConfig.model_validate(fields_of(config))
        operator = wanted.operator.operator()
        with bench(wanted, str(config["policy"]), int(config["seed"])) as place:
            found = decide_padding(operator, place.tune, place.race())
            spent = place.spent()
        if found.ratio is None:
            raise RuntimeError(f"{operator.text()}: {found.reason}")
        metrics = {
            "padded_ns": found.padded_ns,
            "unpadded_ns": found.plain_ns,
            "copy_ns": found.copy_ns,
            "speedup": found.ratio.median,
            "speedup_low": found.ratio.low,
            "speedup_high": found.ratio.high,
            "copy_share": found.cost,
            "padded": int(found.pad),
            **spent,
        }
        best = {"plain": found.plain, "padded": found.padded}
        notes = [f"{name}: {t.best.candidate.text()}" for name, t in best.items() if t is not None]
        return Outcome(metrics, notes=[found.reason, *notes])
