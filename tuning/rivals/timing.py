"""What a contest answers, and how far one entrant is ahead of another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

_RESAMPLES = 2000


@dataclass(frozen=True)
class Timing:
    """What became of one entrant.

    Attributes:
        name: of the entrant.
        median_ns: median time of one call; 0 unless `ok`.
        low_ns: first quartile.
        high_ns: third quartile.
        samples: nanoseconds per call, one per round, so that entrants of one contest pair up.
        status: `ok`, or why there is no time: `unsupported`, `wrong` (its numbers are), `crashed`,
            `timeout`.
        message: reason, if not `ok`.
        notes: what the entrant fuses.
        version: library and instruction set, or candidate.
    """

    name: str
    median_ns: float = 0.0
    low_ns: float = 0.0
    high_ns: float = 0.0
    samples: tuple[float, ...] = ()
    status: str = "ok"
    message: str = ""
    notes: str = ""
    version: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is a time."""
        return self.status == "ok"

    @classmethod
    def of(cls, name: str, samples: Iterable[float], notes: str = "", version: str = "") -> Timing:
        """Return median and quartiles of `samples`, of which there must be one at least."""
        taken = tuple(samples)
        low, middle, high = (float(q) for q in np.quantile(taken, (0.25, 0.5, 0.75)))
        return cls(name, middle, low, high, taken, notes=notes, version=version)


@dataclass(frozen=True)
class Ratio:
    """How many times as fast, with a 95 % interval."""

    value: float
    low: float
    high: float


def paired_ratio(slow: Timing, fast: Timing, seed: int = 0) -> Ratio:
    """Return the median over rounds of slow / fast, its interval by bootstrap over rounds.

    Both samples of a round were taken within a second or so, so drift of the machine cancels.

    Raises:
        ValueError: the two were not timed in the same rounds.
    """
    if not slow.samples or len(slow.samples) != len(fast.samples):
        raise ValueError(f"{slow.name} and {fast.name} were not timed in the same rounds")
    ratios = np.array(slow.samples) / np.array(fast.samples)
    luck = np.random.default_rng(seed)
    drawn = luck.integers(0, len(ratios), (_RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(ratios[drawn], axis=1), (0.025, 0.975))
    return Ratio(float(np.median(ratios)), float(low), float(high))


def ratio_of_medians(slow: Timing, fast: Timing, seed: int = 0) -> Ratio:
    """Return the ratio of medians of samples that do not pair up, its interval by bootstrap.

    Both must have been taken in turn: a drift of the machine must have met both alike.
    """
    luck = np.random.default_rng(seed)
    drawn = [
        np.median(luck.choice(one.samples, (_RESAMPLES, len(one.samples))), axis=1)
        for one in (slow, fast)
    ]
    low, high = np.quantile(drawn[0] / drawn[1], (0.025, 0.975))
    return Ratio(slow.median_ns / fast.median_ns, float(low), float(high))


def fastest(timings: Iterable[Timing]) -> Timing | None:
    """Return the one with the smallest median among those that ran, or None."""
    return min((t for t in timings if t.ok), key=lambda t: t.median_ns, default=None)
