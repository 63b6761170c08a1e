"""Run kind `congestion-reward`: one policy on test links, as a share of the ideal reward.

Links are drawn from a named distribution of the corrected world, within what the teacher learnt on
or beyond it. Every policy meets the same links with the same losses; seeds are other links each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from experiments.kinds.base import Outcome, register
from experiments.kinds.congestion_rule_file import lacking, resolved_rule
from experiments.kinds.congestion_shares import JUDGED, judged_metrics, link_table
from experiments.kinds.congestion_worlds import LinksConfig, seeds_of_links, world_of
from policies.distill.entrants import ENTRANTS, actor_of, load
from policies.registry import Registry

SERIES = "links"


class RewardConfig(LinksConfig):
    """Configuration of `congestion-reward`."""

    rule_file: str | None = Field(
        default=None, max_length=4096, description="Path of the rule that policy rule_file is."
    )


@register("congestion-reward")
class CongestionReward:
    """Judges policies on links that they were trained for, and on others."""

    Config: ClassVar[type[RewardConfig]] = RewardConfig
    policies: ClassVar[Registry[Any]] = ENTRANTS
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = JUDGED

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Put the content of the rule's file in the place of its path.

        Raises:
            ValueError: the file cannot be read, or is no rule.
        """
        return resolved_rule(config)

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return files of the policy that are not there."""
        return lacking(config)

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Judge the policy.

        Raises:
            OSError: a file of the policy cannot be read.
            ValueError: such a file is damaged.
        """
        from policies.distill.judge import judge_on

        wanted = LinksConfig.model_validate({k: config[k] for k in LinksConfig.model_fields})
        player = load(config["policy"], config.get("rule_text"))
        seeds = seeds_of_links(wanted, int(config["seed"]))
        judged = judge_on(actor_of(player), world_of(wanted), seeds)
        return Outcome(metrics=judged_metrics(judged), tables={SERIES: link_table(judged)})
