"""How faithfully a policy repeats the teacher, on the states that one or the other leads to.

A student that differs by a little in every decision meets other states than its teacher, and what
it does there nobody taught it, unless it was asked (DAgger: Ross, Gordon, Bagnell, AISTATS 2011).
So both decide on the same states twice: on those of links that the teacher steers, and of the same
links that the student steers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.distill.actors import Actor
from policies.distill.judge import begun
from policies.distill.worlds import World

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fidelity:
    """Both policies' decisions in the same states, as actions in [-1, 1], float64[n] each."""

    teacher: Values
    student: Values

    @property
    def r2(self) -> float:
        """Share of the variance of the teacher's actions that the student's account for.

        1 is perfect; 0 is what the teacher's mean action would reach; it may be negative. NaN where
        the teacher's actions do not vary.
        """
        left = float(((self.student - self.teacher) ** 2).sum())
        spread = float(((self.teacher - self.teacher.mean()) ** 2).sum())
        return 1.0 - left / spread if spread > 0.0 else float("nan")

    @property
    def mean_absolute_error(self) -> float:
        """Mean distance of the actions."""
        return float(np.abs(self.student - self.teacher).mean())

    @property
    def same_sign(self) -> float:
        """Share of decisions in which both go up, both go down, or both stay."""
        return float((np.sign(self.student) == np.sign(self.teacher)).mean())

    def sample(self, count: int, luck: np.random.Generator) -> tuple[Values, Values]:
        """Return (teacher's, student's) actions of `count` decisions, or of all if fewer."""
        size = len(self.teacher)
        chosen = np.sort(luck.choice(size, size=min(count, size), replace=False))
        return self.teacher[chosen], self.student[chosen]


def compare(
    teacher: Actor, student: Actor, world: World, seeds: Sequence[int], student_acts: bool
) -> Fidelity:
    """Let both decide on one episode on the link of each seed; one of them acts.

    Raises:
        ValueError: there is no seed, or a policy answers with the wrong shape.
    """
    batch, steps = begun(world, seeds), world.config.steps
    actions = np.empty((2, steps, len(seeds)))
    for actor in (teacher, student):
        actor.begin(batch)
    for step in range(steps):
        for place, actor in enumerate((teacher, student)):
            actions[place, step] = np.clip(actor.act(batch), -1.0, 1.0)
        batch.step(actions[int(student_acts), step][:, None])
    return Fidelity(actions[0].ravel(), actions[1].ravel())
