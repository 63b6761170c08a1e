"""The links that a teacher learns on: their episodes out of step, and any moment rebuilt by replay.

Links that began together would all be in the same phase of an episode in every batch; so the
first episodes are cut short by different amounts. An environment is a function of its stream, the
episode's number and the actions, so a moment is kept as the actions of the present episodes: a few
hundred kilobytes that do not depend on how a kernel lays out its memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.net.envs.batch import Batch


@dataclass(frozen=True, eq=False)
class Moment:
    """Where n links are.

    Attributes:
        episodes: int64[n], episodes begun.
        steps: int64[n], steps that count towards the end of the present ones.
        ages: int64[n], actions taken in them; fewer than `steps` in those that were cut short.
        actions: float32[max(ages), n], the oldest first.
        observations: float32[n, inputs], to check the replay by.
    """

    episodes: NDArray[np.int64]
    steps: NDArray[np.int64]
    ages: NDArray[np.int64]
    actions: NDArray[np.float32]
    observations: NDArray[np.float32]


class Episodes:
    """n links, stepped together.

    Attributes:
        batch: the links; step them by `step` only.
        links: what they are, as `Batch.links` describes those of the present episodes.
    """

    def __init__(self, batch: Batch, seeds: list[int]) -> None:
        """Begin the first episodes, the i-th link i / n of an episode before its end."""
        self.batch, self._length = batch, batch.config.steps
        self._given = np.zeros((self._length, batch.count), np.float32)
        self._clock, self._ages = 0, np.zeros(batch.count, np.int64)
        batch.seed(list(seeds))
        batch.begin()
        batch.state["steps"] = np.arange(batch.count) * self._length // batch.count
        self.links: dict[str, NDArray[Any]] = batch.links()

    def step(self, actions: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Step every link; actions float32[n]; return whose episode ended, bool[n]."""
        self._given[self._clock % self._length] = actions
        self._clock += 1
        self.batch.step(actions[:, None])
        over = self.batch.truncated
        self._ages = np.where(over, 0, self._ages + 1)
        if over.any():
            self.links = self.batch.links()
        return over

    def moment(self) -> Moment:
        """Return where the links are."""
        state, longest = self.batch.state, int(self._ages.max())
        places = np.arange(self._clock - longest, self._clock) % self._length
        return Moment(
            state["episode"].copy(),
            state["steps"].copy(),
            self._ages.copy(),
            self._given[places],
            self.batch.observations.copy(),
        )

    def go_to(self, moment: Moment) -> None:
        """Bring the links to a moment of links with the same seeds.

        Raises:
            ValueError: the replay does not end where the moment was: the environment's code or
                the machine's arithmetic has changed since.
        """
        batch, longest = self.batch, len(moment.actions)
        for left in range(longest, -1, -1):
            fresh = moment.ages == left
            if fresh.any():
                batch.state["episode"][fresh] = moment.episodes[fresh] - 1
                batch.begin(fresh)
            if left:
                batch.step(moment.actions[longest - left][:, None])
        batch.state["steps"] = moment.steps
        if not np.array_equal(batch.observations, moment.observations):
            raise ValueError("the environment does not come back to the checkpoint's observations")
        self._ages, self._clock = moment.ages.copy(), longest
        self._given[:longest] = moment.actions
        self.links = batch.links()
