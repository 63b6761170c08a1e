"""Run kind `tuning-pair`: two operators in one back-to-back kernel, or one after the other.

All three kernels are tuned; then both ways run side by side, and profiling decides (Bolt section
3.1.1, Tables 1 and 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from experiments.kinds.base import Outcome, register
from experiments.kinds.tuning_bench import SPENT, bench
from experiments.kinds.tuning_shapes import PairConfig, fields_of, lacking
from policies.registry import Registry
from policies.search.base import SEARCHES


@register("tuning-pair")
class TuningPair:
    """Compares a pair fused and not."""

    exclusive: ClassVar[bool] = True
    Config: ClassVar[type[PairConfig]] = PairConfig
    policies: ClassVar[Registry[Any]] = SEARCHES
    needs: ClassVar[tuple[str, ...]] = ("torch",)
    metrics: ClassVar[Mapping[str, str]] = {
        "fused_ns": "ns; the back-to-back kernel; lower is better",
        "unfused_ns": "ns; both kernels in turn, epilogues fused, the intermediate in memory",
        "first_ns": "ns; the first kernel alone",
        "second_ns": "ns; the second alone",
        "speedup": "1; unfused_ns / fused_ns, median over rounds; higher is better",
        "speedup_low": "1; lower end of its 95 % interval over rounds",
        "speedup_high": "1; upper end",
        "fused": "1 if fusing is faster beyond noise and so applied, else 0",
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
        from tuning.decide import decide_pair

        wanted = PairConfig.model_validate(fields_of(config))
        first, second = wanted.first.operator(), wanted.second.operator()
        with bench(wanted, str(config["policy"]), int(config["seed"])) as place:
            found = decide_pair(first, second, place.tune, place.race())
            spent = place.spent()
        if found.ratio is None:
            raise RuntimeError(f"{first.text()} and {second.text()}: {found.reason}")
        metrics = {
            "fused_ns": found.fused_ns,
            "unfused_ns": found.unfused_ns,
            "first_ns": found.first_ns,
            "second_ns": found.second_ns,
            "speedup": found.ratio.median,
            "speedup_low": found.ratio.low,
            "speedup_high": found.ratio.high,
            "fused": int(found.fuse),
            **spent,
        }
        best = {"first": found.first, "second": found.second, "fused": found.fused}
        notes = [f"{name}: {t.best.candidate.text()}" for name, t in best.items() if t is not None]
        return Outcome(metrics, notes=[found.reason, *notes])
