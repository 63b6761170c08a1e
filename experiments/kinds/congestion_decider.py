"""Run kind `congestion-decider`: how often a decider names the right branch, and what errors cost.

The branches run with the decider, with an oracle that knows each link's context, and each alone on
all links. All meet the same links; seeds are other links each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from experiments.kinds.base import Outcome, Scalar, register
from experiments.kinds.congestion_worlds import LinksConfig, seeds_of_links, world_of
from policies.distill.entrants import ENTRANTS, actor_of
from policies.registry import Registry

if TYPE_CHECKING:
    from policies.distill.branches import Decided

SERIES = "confusion"
WAYS = {
    "decider": "the branches with the decider",
    "oracle": "the branches, each on the links of its own context",
    "best_alone": "the best branch alone on all links",
    "worst_alone": "the worst branch alone on all links",
}
"""Part of a metric's name -> what it is the share of."""


@register("congestion-decider")
class CongestionDecider:
    """Judges the decider of a policy that has one."""

    Config: ClassVar[type[LinksConfig]] = LinksConfig
    policies: ClassVar[Registry[Any]] = ENTRANTS
    needs: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[Mapping[str, str]] = {
        "accuracy": "1; share of decisions that are left to the right branch; higher is better",
        "largest_context": "1; share of decisions in the most frequent context: the accuracy of"
        " always naming it",
        **{
            f"{way}_share{end}": f"1; mean reward / mean ideal of {what}" + words
            for way, what in WAYS.items()
            for end, words in (
                ("", "; higher is better"),
                ("_low", ": lower end of its 95 % interval over links"),
                ("_high", ": upper end"),
            )
        },
        "cost": "1; oracle_share - decider_share, on the same links; lower is better",
        "contexts": "how many there are",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is: nothing depends on the machine."""
        return config

    @staticmethod
    def lacks(config: dict[str, Any]) -> tuple[str, ...]:
        """Return files of the policy that are not there."""
        return ENTRANTS.get(config["policy"]).lacks(branches=True)

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Run every way to decide.

        Raises:
            OSError: a file of the policy cannot be read.
            ValueError: the policy has no decider, or a file is damaged.
        """
        from policies.distill.branches import decided

        wanted = LinksConfig.model_validate({k: config[k] for k in LinksConfig.model_fields})
        branches = ENTRANTS.get(config["policy"]).branches()
        world, seeds = world_of(wanted), seeds_of_links(wanted, int(config["seed"]))
        found = decided(branches, actor_of, world, seeds)
        return Outcome(metrics=_metrics(found), tables={SERIES: _confusion(found)})


def _metrics(found: Decided) -> dict[str, Scalar]:
    alone = sorted(found.alone, key=lambda judged: judged.share_ratio().value)
    ways = dict(
        zip(WAYS, (found.with_decider, found.with_oracle, alone[-1], alone[0]), strict=True)
    )
    metrics: dict[str, Scalar] = {"accuracy": found.accuracy, "largest_context": found.largest}
    for way, judged in ways.items():
        share = judged.share_ratio()
        metrics |= {
            f"{way}_share": share.value,
            f"{way}_share_low": share.low,
            f"{way}_share_high": share.high,
        }
    cost = found.with_oracle.share_ratio().value - found.with_decider.share_ratio().value
    return {**metrics, "cost": cost, "contexts": len(found.alone)}


def _confusion(found: Decided) -> dict[str, list[int]]:
    """Return a row per context and branch: decisions."""
    count = range(len(found.confusion))
    pairs = [(i, j) for i in count for j in count]
    return {
        "context": [i for i, _ in pairs],
        "branch": [j for _, j in pairs],
        "decisions": [int(found.confusion[i, j]) for i, j in pairs],
    }
