"""Run kind `congestion-fidelity`: how faithfully a policy repeats the teacher.

Both decide on the same states: those of links that the teacher steers, or that the policy steers
itself. Seeds are other links each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from experiments.kinds.base import Outcome, register
from experiments.kinds.congestion_rule_file import lacking, resolved_rule
from experiments.kinds.congestion_worlds import LinksConfig, seeds_of_links, world_of
from policies.distill.entrants import ENTRANTS, actor_of, load
from policies.registry import Registry

SERIES = "actions"


class FidelityConfig(LinksConfig):
    """Configuration of `congestion-fidelity`."""

    states: Literal["teacher", "own"] = Field(
        default="teacher", description="Who steers the links on whose states both decide."
    )
    sample: int = Field(
        default=2000, ge=0, le=1_000_000, description="Pairs of actions kept for the figure."
    )
    rule_file: str | None = Field(
        default=None, max_length=4096, description="Path of the rule that policy rule_file is."
    )


@register("congestion-fidelity")
class CongestionFidelity:
    """Compares a policy's decisions with the teacher's."""

    Config: ClassVar[type[FidelityConfig]] = FidelityConfig
    policies: ClassVar[Registry[Any]] = ENTRANTS
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        "r2": "1; share of the variance of the teacher's actions that the policy's account for;"
        " higher is better; null where the teacher's do not vary",
        "mean_absolute_error": "1; mean distance of the actions, which lie in [-1, 1]; lower is"
        " better",
        "same_sign": "1; share of decisions in which both raise the rate, both lower it, or both"
        " leave it; higher is better",
        "decisions": "decisions compared",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Put the content of the rule's file in the place of its path.

        Raises:
            ValueError: the file cannot be read, or is no rule.
        """
        return resolved_rule(config)

    @staticmethod
    def other_policies(config: dict[str, Any]) -> list[str]:
        """Return the teacher, whose code the run depends on too."""
        del config
        return ["teacher"]

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return files of the policy that are not there."""
        return lacking(config)

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Let both decide, and compare.

        Raises:
            OSError: a file of the policy or of the teacher cannot be read.
            ValueError: such a file is damaged.
        """
        import math

        from policies.distill.fidelity import compare
        from sim.streams import stream

        wanted = LinksConfig.model_validate({k: config[k] for k in LinksConfig.model_fields})
        seed = int(config["seed"])
        student = actor_of(load(config["policy"], config.get("rule_text")))
        seeds = seeds_of_links(wanted, seed)
        teacher, own_states = actor_of(load("teacher")), config["states"] == "own"
        found = compare(teacher, student, world_of(wanted), seeds, own_states)
        luck = stream(seed, {"kind": "congestion-fidelity"}, "sample")
        theirs, own = found.sample(config["sample"], luck)
        metrics = {
            "r2": found.r2 if math.isfinite(found.r2) else None,
            "mean_absolute_error": found.mean_absolute_error,
            "same_sign": found.same_sign,
            "decisions": len(found.teacher),
        }
        columns = {"teacher": theirs.tolist(), "action": own.tolist()}
        return Outcome(metrics=metrics, tables={SERIES: columns})
