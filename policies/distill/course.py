"""How far a training is: its learning curve, and the best policy so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from policies.distill.judge import judge
from policies.distill.learner import Learner, Lesson
from policies.distill.weights import Network


@dataclass(frozen=True)
class Row:
    """One point of a learning curve; shares are of the ideal reward.

    Attributes:
        steps: environment steps so far.
        seconds: of training so far, evaluations included.
        train_share: mean reward / mean ideal, over the steps since the last row, whose actions
            have noise; None in the first row, as all that tells of lessons.
        validation_median: median link's share on validation links, without noise.
        validation_ratio: mean reward / mean ideal there.
        validation_utilisation: mean utilisation there.
        entropy, kl, clipped, explained: as `Lesson`, means since the last row.
        std: standard deviation of actions.
    """

    steps: int
    seconds: float
    train_share: float | None
    validation_median: float
    validation_ratio: float
    validation_utilisation: float
    entropy: float | None
    kl: float | None
    clipped: float | None
    explained: float | None
    std: float

    @property
    def score(self) -> float:
        """What policies are chosen by: the mean of the two shares that are reported."""
        return (self.validation_median + self.validation_ratio) / 2.0


@dataclass
class Course:
    """A training so far, beside the learner's own state.

    Attributes:
        batches: done.
        seconds: spent.
        rows: the learning curve.
        lessons: since the last row.
        best: the policy of the row with the highest score.
        best_steps: environment steps when it was met.
    """

    batches: int = 0
    seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)
    lessons: list[Lesson] = field(default_factory=list)
    best: Network | None = None
    best_steps: int = 0

    def evaluate(self, learner: Learner) -> None:
        """Judge the policy as it is now on the validation links, and add a row."""
        config, network = learner.config, learner.network()
        judged = judge(network, config.world, config.validation_links, "validation")
        row = Row(
            steps=self.batches * config.batch_steps,
            seconds=self.seconds,
            validation_median=float(np.nanmedian(judged.share)),
            validation_ratio=float(judged.reward.sum() / judged.ideal.sum()),
            validation_utilisation=float(judged.utilisation.mean()),
            std=float(np.exp(network.tensors["log_std"][0])),
            **self._learnt(),
        )
        if self.best is None or row.score > max(other.score for other in self.rows):
            self.best, self.best_steps = network, row.steps
        self.rows.append(row)
        self.lessons = []

    def _learnt(self) -> dict[str, Any]:
        """Return what a row tells of the lessons since the last one."""
        names = ("entropy", "kl", "clipped", "explained")
        if not self.lessons:
            return dict.fromkeys(("train_share", *names))
        means = {
            name: float(np.mean([getattr(lesson, name) for lesson in self.lessons]))
            for name in names
        }
        reward = sum(lesson.reward for lesson in self.lessons)
        return {**means, "train_share": reward / sum(lesson.ideal for lesson in self.lessons)}
