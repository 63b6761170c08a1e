"""Run kind `tuning-operator`: one operator tuned from nothing, then against the vendors' libraries.

The winner, NumPy, PyTorch and oneDNN, and MetaSchedule where it is asked for, are timed in one
contest: each in a process of its own, one sample in turn, on the same operands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from experiments.kinds.base import Outcome, Scalar, register
from experiments.kinds.tuning_bench import SPENT
from experiments.kinds.tuning_shapes import OperatorConfig, fields_of, lacking
from policies.registry import Registry
from policies.search.base import SEARCHES

VENDORS = ("numpy", "torch", "onednn")
METASCHEDULE = "metaschedule"


class TuningOperatorConfig(OperatorConfig):
    """Configuration of `tuning-operator`."""

    vendors: list[Literal["numpy", "torch", "onednn"]] = Field(
        default=list(VENDORS), description="Libraries that take part in the contest."
    )
    rival_trials: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="Trials of TVM's MetaSchedule, which then takes part too; 0: it does not.",
    )
    rival_budget_s: float = Field(
        default=600.0, gt=0, le=86_400, description="Seconds after which MetaSchedule is ended."
    )


@register("tuning-operator")
class TuningOperator:
    """Compares searches: what they find, and after which time."""

    exclusive: ClassVar[bool] = True
    Config: ClassVar[type[TuningOperatorConfig]] = TuningOperatorConfig
    policies: ClassVar[Registry[Any]] = SEARCHES
    needs: ClassVar[tuple[str, ...]] = ("torch",)
    metrics: ClassVar[Mapping[str, str]] = {
        "ours_ns": "ns; one call of what the search found; lower is better",
        **{f"{name}_ns": "ns; one call; null if not asked or not able" for name in VENDORS},
        "metaschedule_ns": "ns; one call of MetaSchedule's best; null if not asked",
        "fastest_vendor_ns": "ns; the least of the vendors' libraries",
        "speedup_over_fastest_vendor": "1; fastest_vendor_ns / ours_ns; higher is better",
        "speedup_over_metaschedule": "1; metaschedule_ns / ours_ns; higher is better",
        "gflops": "10^9 multiplications and additions/s of ours; higher is better",
        **SPENT,
        "metaschedule_s": "s; wall-clock time of MetaSchedule's tuning",
        "metaschedule_trials": "candidates that MetaSchedule measured",
        "metaschedule_failed": "candidates of MetaSchedule that did not build or run",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is; the machine is told in the provenance."""
        return config

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return programs and packages that are not on this machine."""
        rival = config["rival_trials"] > 0 or config.get("policy") == METASCHEDULE
        return lacking(config, metaschedule=rival)

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Tune, then time the winner against the others.

        Raises:
            NothingMeasuredError: no candidate ran.
            RuntimeError: the winner did not last the contest.
        """
        from experiments.kinds import tuning_contest

        wanted = TuningOperatorConfig.model_validate(fields_of(config))
        return tuning_contest.outcome(wanted, str(config["policy"]), int(config["seed"]))


def metrics_of(
    timings: Mapping[str, float | None], flops: int, spent: Mapping[str, Scalar]
) -> dict[str, Scalar]:
    """Return the metrics; `timings` maps `ours`, vendors and MetaSchedule to ns, None if absent.

    Raises:
        RuntimeError: `ours` has no time.
    """
    ours = timings.get("ours")
    if not ours:
        raise RuntimeError("the winner of the search has no time in the contest")
    vendors = [ns for name in VENDORS if (ns := timings.get(name))]
    fastest = min(vendors, default=None)
    rival = timings.get(METASCHEDULE)
    return {
        "ours_ns": ours,
        **{f"{name}_ns": timings.get(name) for name in VENDORS},
        "metaschedule_ns": rival,
        "fastest_vendor_ns": fastest,
        "speedup_over_fastest_vendor": fastest and fastest / ours,
        "speedup_over_metaschedule": rival and rival / ours,
        "gflops": flops / ours,
        "metaschedule_s": None,
        "metaschedule_trials": None,
        "metaschedule_failed": None,
        **spent,
    }
