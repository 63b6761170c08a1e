"""Run kind `congestion-complexity`: what a budget of operations buys, on the recorded Pareto front.

Of the front that the shipped rule was chosen from, the member of least error within the budget is
judged on test links, and the teacher on the same ones. Seeds are other links each.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from experiments.kinds.base import Outcome, register
from experiments.kinds.congestion_shares import JUDGED, judged_metrics
from experiments.kinds.congestion_worlds import LinksConfig, seeds_of_links, world_of
from policies.distill.entrants import FRONT, actor_of, load
from policies.registry import Registry


class ComplexityConfig(LinksConfig):
    """Configuration of `congestion-complexity`."""

    most_operations: int = Field(
        default=60, ge=0, le=10_000, description="Operations that the member may take."
    )


@register("congestion-complexity")
class CongestionComplexity:
    """Judges members of a Pareto front of rules."""

    Config: ClassVar[type[ComplexityConfig]] = ComplexityConfig
    policies: ClassVar[Registry[Any] | None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        "operations": "operations of the member on its costliest path; lower is better",
        "error": "1; mean squared difference from the teacher's actions on links that the"
        " regression did not see; lower is better",
        "members": "members of the front within the budget",
        **JUDGED,
        "teacher_share_ratio_of_means": "1; the teacher's share_ratio_of_means, same links",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration with the digest of the front, which is data of the project."""
        from hashlib import sha256

        known = sha256(FRONT.read_bytes()).hexdigest() if FRONT.is_file() else None
        return {**config, "front": known}

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return the front, if it is not there."""
        del config
        made_by = "python -m policies.distill.distil_command symbolic"
        return () if FRONT.is_file() else (f"{FRONT.name} ({made_by})",)

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Judge the member.

        Raises:
            OSError: the front cannot be read.
            ValueError: it is damaged, or has no member within the budget.
        """
        return judge_member(FRONT, config)


def judge_member(front: Path, config: dict[str, Any]) -> Outcome:
    """Judge the member of least error that takes at most `most_operations`.

    Raises:
        OSError: the front cannot be read.
        ValueError: it is damaged, or has no member within the budget.
    """
    from policies.distill.actors import RuleActor
    from policies.distill.fronts import as_rule, pareto, read_front
    from policies.distill.judge import judge_on
    from policies.rules.write import expression_text

    budget = config["most_operations"]
    members = pareto(read_front(front))
    within = [one for one in members if one.operations <= budget]
    if not within:
        least = min((one.operations for one in members), default=None)
        known = "it is empty" if least is None else f"the cheapest takes {least}"
        raise ValueError(f"{front}: no member takes at most {budget} operations; {known}")
    chosen = min(within, key=lambda one: (one.error, one.operations))
    wanted = LinksConfig.model_validate({k: config[k] for k in LinksConfig.model_fields})
    world, seeds = world_of(wanted), seeds_of_links(wanted, int(config["seed"]))
    judged = judge_on(RuleActor(as_rule("member", chosen.expression)), world, seeds)
    theirs = judge_on(actor_of(load("teacher")), world, seeds)
    metrics = {
        "operations": chosen.operations,
        "error": chosen.error,
        "members": len(within),
        **judged_metrics(judged),
        "teacher_share_ratio_of_means": theirs.share_ratio().value,
    }
    return Outcome(metrics=metrics, notes=[expression_text(chosen.expression)[:2000]])
