"""How good a policy is: one episode on each of many links, measured against the ideal.

The ideal sends at the link's capacity and keeps its queue empty (`World.ideal_rewards`). Raw
rewards of PccLegacy-v0 depend on the link, so what counts is the share of the ideal: its median
over links, which a few bad ones do not move, and the ratio of mean rewards, which they do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from policies.distill.actors import Actor, Policy, as_actor
from policies.distill.worlds import World, seeds_of
from sim.streams import stream

if TYPE_CHECKING:
    from sim.net.envs.batch import Batch

Values = NDArray[np.float64]

RESAMPLES = 2000
AT_ONCE = 100
TAILS = (2.5, 97.5)


@dataclass(frozen=True)
class Interval:
    """A statistic over links with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Judged:
    """One episode on each of n links; arrays float64[n].

    Attributes:
        links: what the links are, as `Batch.links` describes them.
        reward: sum over the episode.
        ideal: the ideal's sum.
        utilisation: throughput / capacity, mean over intervals; at most about 1 - random loss.
        inflation: RTT / base RTT - 1, mean over the intervals with an ACK; NaN without any.
        loss: share of packets lost, random loss included, mean over intervals.
    """

    links: dict[str, NDArray[Any]]
    reward: Values
    ideal: Values
    utilisation: Values
    inflation: Values
    loss: Values

    @property
    def share(self) -> Values:
        """Reward / ideal reward; NaN where even the ideal is not above 0."""
        nothing = np.full(len(self.ideal), np.nan)
        return np.divide(self.reward, self.ideal, out=nothing, where=self.ideal > 0.0)

    def share_median(self) -> Interval:
        """Return the median link's share."""
        share = self.share
        share = share[np.isfinite(share)]
        return _bootstrap("median", len(share), lambda drawn: np.median(share[drawn], axis=-1))

    def share_ratio(self) -> Interval:
        """Return mean reward / mean ideal reward."""

        def ratio(drawn: NDArray[np.int64]) -> Values:
            return self.reward[drawn].sum(axis=-1) / self.ideal[drawn].sum(axis=-1)

        return _bootstrap("ratio", len(self.reward), ratio)

    def mean(self, name: str) -> Interval:
        """Return the mean over links of `utilisation`, `inflation` or `loss`."""
        values: Values = getattr(self, name)
        values = values[np.isfinite(values)]
        return _bootstrap(name, len(values), lambda drawn: values[drawn].mean(axis=-1))


def judge(
    policy: Policy | Actor, world: World, links: int = 200, split: str = "validation", seed: int = 0
) -> Judged:
    """Run a policy for one episode on each of the first `links` links of a split.

    Every policy meets the same links with the same losses.

    Args:
        policy: a function of observations, or an actor.
        world: the environment.
        links: how many.
        split: of links, see `worlds.SPLITS`.
        seed: of the split.

    Raises:
        ValueError: the policy answers with the wrong shape, or with what is not a finite number.
        UnknownNameError: there is no such split.
    """
    return judge_on(policy, world, seeds_of(split, seed, links))


def begun(world: World, seeds: Sequence[int]) -> Batch:
    """Return the links that `judge_on` runs on, as their first episodes begin.

    A link is a function of the world, its seed and its place among the seeds, nothing else: more
    links begin with the same ones. `Batch.links` tells what they are.

    Raises:
        ValueError: there is no seed.
        ScenarioError: a field of the world's configuration is out of range; the message names it.
    """
    if len(seeds) == 0:
        raise ValueError("seeds: there must be at least one, as each is a link")
    batch = world.batch(len(seeds))
    batch.seed(list(seeds))
    batch.begin()
    return batch


def judge_on(policy: Policy | Actor, world: World, seeds: Sequence[int]) -> Judged:
    """Run a policy for one episode on the link of each seed; see `begun`.

    Raises:
        ValueError: as `judge`, or there is no seed.
    """
    batch, actor, links = begun(world, seeds), as_actor(policy), len(seeds)
    actor.begin(batch)
    known = batch.links()
    capacity, base_s = known["bandwidth_bps"], world.base_rtts_s(known)
    reward, used, inflation, loss, heard = np.zeros((5, links))
    for _ in range(world.config.steps):
        batch.step(actor.act(batch)[:, None])
        reward += batch.rewards
        told = batch.measures()
        used += told["throughput_bps"] / capacity
        alive = told["latency_s"] > 0.0
        inflation += np.where(alive, told["latency_s"] / base_s - 1.0, 0.0)
        heard += alive
        loss += told["loss"]
    steps = world.config.steps
    nothing = np.full(links, np.nan)
    return Judged(
        known,
        reward,
        steps * world.ideal_rewards(known),
        used / steps,
        np.divide(inflation, heard, out=nothing, where=heard > 0),
        loss / steps,
    )


def _bootstrap(name: str, count: int, statistic: Callable[[NDArray[np.int64]], Any]) -> Interval:
    """Return a statistic of `count` links with its percentile interval over links.

    `statistic` takes places int64[..., count] and works along the last axis.
    """
    if count == 0:
        raise ValueError(f"{name}: no link has a value that means anything")
    luck = stream(0, {"statistic": name}, "bootstrap")
    drawn = [
        statistic(luck.integers(count, size=(AT_ONCE, count))) for _ in range(RESAMPLES // AT_ONCE)
    ]
    low, high = np.percentile(np.concatenate(drawn), TAILS)
    return Interval(float(statistic(np.arange(count))), float(low), float(high))
