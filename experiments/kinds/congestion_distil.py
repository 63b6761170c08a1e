"""Run kind `congestion-distil`: a whole distillation with some of its parts changed or left out.

The resulting rule is judged on test links, which no step of a distillation sees. Seeds are seeds of
the distillation; the test links are the same for all.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from experiments.kinds.base import Config, Outcome, Scalar, register
from experiments.kinds.congestion_distil_efforts import Effort, networks_of, settings_of
from experiments.kinds.congestion_shares import JUDGED, judged_metrics
from policies.registry import Registry

if TYPE_CHECKING:
    from policies.distill.distil import Distilled

SERIES = "rounds"
PACKAGES = {
    "cmaes": "cmaes",
    "pyoperon": "pyoperon",
    "pysr": "pysr",
    "sklearn": "scikit-learn",
    "stable_baselines3": "stable_baselines3",
}
"""Module -> the package that brings it."""
EXTRA = {"stable_baselines3": "congestion"}
"""Module -> the extra that installs it; `symbolic` if it is not named here."""


class DistilKindConfig(Config):
    """Configuration of `congestion-distil`."""

    effort: Effort = Field(
        default="full",
        description="How much it spends: `tiny` goes through all steps in a second or two, `small`"
        " takes a minute per context, `full` is as for the shipped rules.",
    )
    contexts: int = Field(default=1, ge=1, le=64, description="Branches; 1: none.")
    contexts_from: Literal["return", "specialists"] = Field(
        default="return",
        description="Found anew from the teacher's return, or those of the specialists.",
    )
    specialists: bool = Field(
        default=False, description="Whether each context's own network gives the labels there."
    )
    networks: Literal["shipped", "trained"] = Field(
        default="shipped", description="Whether teacher and specialists are trained first."
    )
    method: Literal["operon", "pysr", "linear", "tree"] = Field(
        default="operon", description="Of regression."
    )
    history: bool = Field(
        default=True, description="Whether rules may use means over intervals, and changes."
    )
    rounds: int = Field(default=2, ge=0, le=20, description="Of DAgger.")
    refine: bool = Field(default=True, description="Whether constants are refined on return.")
    test_links: int = Field(default=1000, ge=2, le=100_000, description="To report on.")

    @model_validator(mode="after")
    def _fits(self) -> DistilKindConfig:
        if self.specialists and self.contexts_from != "specialists":
            raise ValueError("specialists: they need contexts_from: specialists")
        if self.contexts_from == "specialists" and self.contexts < 2:
            raise ValueError(f"contexts: specialists have 2 or more, found {self.contexts}")
        return self


@register("congestion-distil")
class CongestionDistil:
    """Distils a rule from the teacher."""

    Config: ClassVar[type[DistilKindConfig]] = DistilKindConfig
    policies: ClassVar[Registry[Any] | None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        **JUDGED,
        "operations": "operations of a decision on the costliest path; lower is better",
        "operations_in_all": "operations in the whole rule; lower is better",
        "contexts_found": "contexts that links were parted into",
        "accuracy": "1; share of decisions that the decider leaves to the right branch; higher is"
        " better; null without branches",
        "error": "1; mean squared difference from the teacher's actions on links that the last"
        " regression did not see, mean over contexts; lower is better",
        "unrefined_share": "1; mean reward / mean ideal on validation links, before refinement",
        "rows": "rows that were collected for the last regression",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is: nothing depends on the machine."""
        return config

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return packages and files that are not there."""
        told = [
            f"{PACKAGES[module]} (pip install -e '.[{EXTRA.get(module, 'symbolic')}]')"
            for module in _modules(config)
            if importlib.util.find_spec(module) is None
        ]
        if config["networks"] == "shipped" and config["contexts_from"] == "specialists":
            from policies.distill.entrants import CONTEXTS, SPECIALISTS, WEIGHTS

            paths = (CONTEXTS, *(WEIGHTS / name for name in SPECIALISTS))
            made_by = "python -m policies.distill.train_specialists"
            told += [f"{path.name} ({made_by})" for path in paths if not path.is_file()]
        return tuple(told)

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Distil and judge.

        Raises:
            OSError: a shipped file cannot be read.
            ValueError: such a file is damaged, or no rule came out that costs as little as it must.
            ImportError: the method's package is not installed.
        """
        from policies.distill.actors import RuleActor
        from policies.distill.distil import distil
        from policies.distill.judge import judge
        from policies.rules.write import text_of

        seed = int(config["seed"])
        settings = settings_of(config, seed)
        with TemporaryDirectory() as folder:
            teacher, contexts, specialists = networks_of(config, seed, Path(folder))
            found = distil(settings, teacher, Path(folder) / "distil", specialists, contexts)
        judged = judge(RuleActor(found.rule), settings.world, config["test_links"], "test")
        metrics = judged_metrics(judged) | _told(found)
        return Outcome(metrics, {SERIES: _rounds(found)}, [text_of(found.rule)[:4000]])


def _modules(config: dict[str, Any]) -> list[str]:
    """Return modules that the distillation imports and that may not be installed."""
    needed = {
        "pyoperon": config["method"] == "operon",
        "pysr": config["method"] == "pysr",
        "sklearn": config["method"] == "tree" or config["contexts"] > 1,
        "cmaes": config["refine"],
        "stable_baselines3": config["networks"] == "trained",
    }
    return [module for module, wanted in needed.items() if wanted]


def _told(found: Distilled) -> dict[str, Scalar]:
    from policies.rules.count import operations

    cost, last = operations(found.rule), found.rounds[-1]
    return {
        "operations": cost.worst_path,
        "operations_in_all": cost.total,
        "contexts_found": len(found.contexts),
        "accuracy": None if found.accuracy is None else float(found.accuracy.over_rows),
        "error": last.error,
        "unrefined_share": last.share,
        "rows": last.rows,
    }


def _rounds(found: Distilled) -> dict[str, list[float]]:
    """Return a row per round of DAgger, before refinement."""
    numbers = ("rows", "error", "share", "median")
    columns = {name: [float(getattr(one, name)) for one in found.rounds] for name in numbers}
    return {"round": [float(place) for place in range(len(found.rounds))], **columns}
