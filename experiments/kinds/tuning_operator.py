"""Run kind `tuning-operator`: one operator tuned from nothing, then against the vendors' libraries.

The winner, NumPy, PyTorch and oneDNN, and MetaSchedule where it is asked for, are timed in one
contest: each in a process of its own, one sample in turn, on the same operands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from experiments.kinds.base import Outcome, Scalar, register
from experiments.kinds.tuning_bench import SPENT
from experiments.kinds.tuning_shapes import OperatorConfig, fields_of, lacking
from policies.registry import Registry
from policies.search.base import SEARCHES

if TYPE_CHECKING:
    from tuning.rivals import Timing

VENDORS = ("numpy", "torch", "onednn")
METASCHEDULE = "metaschedule"


def _ratio(name: str, other: str) -> dict[str, str]:
    """Return the metrics of a ratio over rounds and its interval."""
    return {
        name: f"1; {other} / ours_ns, median over rounds; higher is better",
        f"{name}_low": "1; lower end of its 95 % interval over rounds",
        f"{name}_high": "1; upper end",
    }


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
        **_ratio("speedup_over_fastest_vendor", "fastest_vendor_ns"),
        **_ratio("speedup_over_metaschedule", "metaschedule_ns"),
        "gflops": "10^9 multiplications and additions/s of ours; higher is better",
        **SPENT,
        "s_per_trial": "s; tune_s / trials; lower is better",
        "metaschedule_s": "s; wall-clock time of MetaSchedule's tuning",
        "metaschedule_trials": "candidates that MetaSchedule measured",
        "metaschedule_failed": "candidates of MetaSchedule that did not build or run",
        "metaschedule_cut": "1 if MetaSchedule was ended before its trials were done, else 0",
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
    timings: Mapping[str, Timing], flops: int, spent: Mapping[str, Scalar]
) -> dict[str, Scalar]:
    """Return the metrics; `timings` are of `ours`, vendors and MetaSchedule, as far as they ran.

    Raises:
        RuntimeError: `ours` has no time.
    """
    from tuning.rivals.timing import fastest

    there = {name: timing for name, timing in timings.items() if timing.ok}
    ours = there.get("ours")
    if ours is None:
        raise RuntimeError("the winner of the search has no time in the contest")
    vendor = fastest(there[name] for name in VENDORS if name in there)
    rival = there.get(METASCHEDULE)
    nothing: dict[str, Scalar] = dict.fromkeys(TuningOperator.metrics)
    trials, tune_s = (float(spent.get(name) or 0) for name in ("trials", "tune_s"))
    return nothing | {
        **{f"{name}_ns": timing.median_ns for name, timing in there.items()},
        "fastest_vendor_ns": vendor and vendor.median_ns,
        **_compared("speedup_over_fastest_vendor", vendor, ours),
        **_compared("speedup_over_metaschedule", rival, ours),
        "gflops": flops / ours.median_ns,
        "s_per_trial": tune_s / trials if trials else None,
        **spent,
    }


def _compared(name: str, other: Timing | None, ours: Timing) -> dict[str, Scalar]:
    """Return the ratio of times that were taken in the same rounds, and its interval."""
    from tuning.rivals.timing import paired_ratio

    if other is None:
        return {}
    found = paired_ratio(other, ours)
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
