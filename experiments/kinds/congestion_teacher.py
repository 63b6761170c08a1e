"""Run kind `congestion-teacher`: a training of a teacher, chosen on validation links, then tested.

Shares are of the ideal reward (`policies.distill.judge`). Seeds are seeds of the training; the
validation and the test links are the same for all.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from experiments.kinds.base import Config, Outcome, Scalar, register
from experiments.kinds.congestion_shares import JUDGED, judged_metrics
from policies.registry import Registry

if TYPE_CHECKING:
    from policies.distill.teacher import Trained

SERIES = "learning"


class CongestionTeacherConfig(Config):
    """Configuration of `congestion-teacher`; what is null is as the variant has it."""

    variant: Literal["legacy", "corrected"] = Field(
        default="legacy",
        description="PCC-RL's environment and links, or triptych/Pcc-v1 from 1 to 100 Mbit/s.",
    )
    total_steps: int = Field(default=3_936_000, ge=1, le=10**9, description="Environment steps.")
    parallel: int | None = Field(default=None, ge=1, le=65_536, description="Links at once.")
    batch_steps: int | None = Field(default=None, ge=2, le=1 << 24, description="Steps an update.")
    minibatch: int | None = Field(default=None, ge=2, le=1 << 24, description="Of these, a part.")
    epochs: int | None = Field(default=None, ge=1, le=1000, description="Passes over a batch.")
    learning_rate: float | None = Field(default=None, gt=0, le=1, description="Adam's.")
    gamma: float | None = Field(default=None, ge=0, lt=1, description="Discount.")
    gae_lambda: float | None = Field(default=None, ge=0, lt=1, description="Of advantages.")
    clip: float | None = Field(default=None, gt=0, lt=1, description="Of probability ratios.")
    entropy: float | None = Field(default=None, ge=0, le=10, description="Weight of the bonus.")
    reward_scale: float | None = Field(default=None, gt=0, le=1e6, description="In training.")
    hidden: list[Annotated[int, Field(ge=1, le=4096)]] | None = Field(
        default=None, min_length=1, max_length=6, description="Widths of the tanh layers."
    )
    evaluate_every: int = Field(default=327_680, ge=1, description="Steps between evaluations.")
    validation_links: int = Field(default=200, ge=2, le=100_000, description="To choose by.")
    test_links: int = Field(default=1000, ge=2, le=100_000, description="To report.")


@register("congestion-teacher")
class CongestionTeacher:
    """Trains a controller by reinforcement learning."""

    exclusive: ClassVar[bool] = True
    Config: ClassVar[type[CongestionTeacherConfig]] = CongestionTeacherConfig
    policies: ClassVar[Registry[Any] | None] = None
    needs: ClassVar[tuple[str, ...]] = ("torch",)
    metrics: ClassVar[Mapping[str, str]] = {
        **JUDGED,
        "validation_share": "1; mean of both shares on validation links; the step was chosen by it",
        "published_share_median": "1; share_median of the published weights of Aurora on the same"
        " test links; null where they do not fit the environment",
        "published_share_ratio_of_means": "1; their share_ratio_of_means",
        "best_steps": "environment steps when the chosen policy was met",
        "steps": "environment steps of the training",
        "seconds": "s; of the training with evaluations, without compilation; lower is better",
        "steps_per_s": "environment steps/s of the training, end to end; higher is better",
    }

    @staticmethod
    def resolve(config: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration as it is: nothing depends on the machine."""
        return config

    @staticmethod
    def lacks(_: dict[str, Any]) -> tuple[str, ...]:
        """Return packages that are not on this machine."""
        names = ("gymnasium", "stable_baselines3")
        missing = [name for name in names if importlib.util.find_spec(name) is None]
        return tuple(f"{name} (pip install -e '.[congestion]')" for name in missing)

    @staticmethod
    def run(config: dict[str, Any]) -> Outcome:
        """Train and judge.

        Raises:
            ScenarioError: a field is out of range; the message names it.
        """
        from policies.distill.teacher import train
        from policies.distill.teacher_config import preset

        left = ("policy", "seed", "variant", "test_links")
        changes = {k: v for k, v in config.items() if k not in left and v is not None}
        if "hidden" in changes:
            changes["hidden"] = tuple(changes["hidden"])
        settings = preset(config["variant"], seed=int(config["seed"]), **changes)
        with TemporaryDirectory() as folder:
            trained = train(settings, Path(folder))
        rows = [asdict(row) for row in trained.rows]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return Outcome(metrics=_metrics(trained, config["test_links"]), tables={SERIES: columns})


def _metrics(trained: Trained, links: int) -> dict[str, Scalar]:
    from policies.distill.judge import judge
    from policies.distill.weights import published_network

    network, published = trained.network, published_network()
    world = network.world
    judged = judge(network, world, links, "test")
    fits = published.world == world
    theirs = judge(published, world, links, "test") if fits else None
    return {
        **judged_metrics(judged),
        "validation_share": trained.best_row.score,
        "published_share_median": theirs.share_median().value if theirs else None,
        "published_share_ratio_of_means": theirs.share_ratio().value if theirs else None,
        "best_steps": trained.best_steps,
        "steps": trained.steps,
        "seconds": trained.seconds,
        "steps_per_s": trained.steps / trained.seconds,
    }
