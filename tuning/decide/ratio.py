"""How much faster one sequence of kernels is than another, with an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST = 6
"""Rounds below which no interval of 95 % for a median exists."""

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """Time of the old over time of the new; above 1, the new one is faster.

    Attributes:
        median: of the ratios of all rounds.
        low: lower end of the interval.
        high: upper end.
        rounds: number of ratios.
    """

    median: float
    low: float
    high: float
    rounds: int

    @property
    def faster(self) -> bool:
        """Whether the new one is faster beyond noise."""
        return self.low > 1.0

    def verdict(self, done: str, busy: bool) -> tuple[bool, str]:
        """Return whether to do it, and why, such as `not fused: slower: 0.9 (0.8 to 0.95)`.

        Args:
            done: the participle: `fused`, `padded`.
            busy: whether the machine was too busy for a decision; nothing is changed then.
        """
        if busy:
            return False, f"not {done}: the machine was too busy to tell: {self.text()}"
        if self.faster:
            return True, f"{done}: faster: {self.text()}"
        if self.high < 1.0:
            return False, f"not {done}: slower: {self.text()}"
        return False, f"not {done}: no difference beyond noise: {self.text()}"

    def text(self) -> str:
        """Return such as `1.31 (1.28 to 1.33)`."""
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


def ratio_of(old: Sequence[Sequence[float]], new: Sequence[Sequence[float]]) -> Ratio:
    """Return the ratio of times that were taken in the same rounds.

    The interval is the order statistics' one for a median (exact, free of assumptions on the
    distribution, 95 %), widened to hold the median of every launch: where memory came to lie
    differs between launches and not within one, so rounds alone would be too sure.

    Args:
        old: per launch of the worker, one time per round.
        new: the same.

    Raises:
        ValueError: rounds do not match, a time is not positive, or there are fewer than `FEWEST`.
    """
    launches: list[list[float]] = []
    for before, after in zip(old, new, strict=True):
        if not all(t > 0 and math.isfinite(t) for t in (*before, *after)):
            raise ValueError("times: every time must be a positive number")
        launches.append([a / b for a, b in zip(before, after, strict=True)])
    pooled = sorted(r for launch in launches for r in launch)
    if len(pooled) < FEWEST:
        raise ValueError(f"rounds: {len(pooled)} are too few for an interval; take {FEWEST}")
    outer = _outer(len(pooled))
    middles = [_median(sorted(launch)) for launch in launches if launch]
    return Ratio(
        median=_median(pooled),
        low=min(pooled[outer], *middles),
        high=max(pooled[-1 - outer], *middles),
        rounds=len(pooled),
    )


def _outer(count: int) -> int:
    """Return how many values of `count` lie beyond the interval on either side."""
    tail, term = 0.0, 0.5**count
    for outside in range(count):
        tail += term
        if 2 * tail > 1 - _CONFIDENCE:
            return max(0, outside - 1)
        term *= (count - outside) / (outside + 1)
    return 0


def _median(ordered: Sequence[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
