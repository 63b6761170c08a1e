"""Training a teacher: PPO on many links, resumable, and the same bytes for the same seed.

The promise holds for one machine and one version of torch, with torch on a fixed number of
threads (`learner.THREADS`); how many threads step the links does not matter. A run that was
interrupted and goes on from its checkpoint ends with the same bytes as one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from policies.distill.checkpoint import load, save
from policies.distill.course import Course, Row
from policies.distill.learner import Learner, fixed_threads
from policies.distill.teacher_config import TeacherConfig
from policies.distill.weights import Network


@dataclass(frozen=True, eq=False)
class Trained:
    """A training that has ended.

    Attributes:
        config: its parameters.
        network: the policy with the highest score on the validation links (`Row.score`).
        best_steps: environment steps when it was met.
        last: the policy at the end.
        rows: the learning curve.
        steps: environment steps.
        seconds: of training, evaluations and checkpoints included, compilation left out.
    """

    config: TeacherConfig
    network: Network
    best_steps: int
    last: Network
    rows: tuple[Row, ...]
    steps: int
    seconds: float

    @property
    def best_row(self) -> Row:
        """The row of `network`."""
        return next(row for row in self.rows if row.steps == self.best_steps)


# paper: symbolicpcc teacher
def train(
    config: TeacherConfig,
    folder: Path,
    progress: Callable[[Row], None] | None = None,
    first: Network | None = None,
) -> Trained:
    """Train a teacher, or go on with a training that was interrupted.

    Args:
        config: its parameters.
        folder: of its checkpoint; empty or absent for a training from nothing. A finished
            training is read from it, not done again.
        progress: is told each row of the learning curve when it is there.
        first: a policy to go on from; None: from nothing. It is in the learning curve itself, so
            the result is never worse on the validation links.

    Raises:
        ScenarioError: a parameter is out of range; the message names it.
        ValueError: the folder holds another training, or a damaged one; weights are no longer
            finite; or `first` has layers of other sizes.
        OSError: the folder cannot be written.
    """
    config.check()
    with fixed_threads():
        learner = Learner(config, first)
        course = load(folder, learner) or Course()
        began = time.perf_counter() - course.seconds
        while not course.rows or course.batches < config.batches:
            if course.rows:
                course.lessons.append(learner.practise(course.batches))
                course.batches += 1
            over = course.batches == config.batches
            course.seconds = time.perf_counter() - began
            if over or course.batches % config.batches_per_evaluation == 0:
                course.evaluate(learner)
                course.seconds = time.perf_counter() - began
                if progress is not None:
                    progress(course.rows[-1])
            if course.batches and (over or course.batches % config.checkpoint_every == 0):
                save(folder, learner, course)
        assert course.best is not None
        return Trained(
            config,
            course.best,
            course.best_steps,
            learner.network(),
            tuple(course.rows),
            course.batches * config.batch_steps,
            course.seconds,
        )
