"""Intervals of means and of paired ratios, by bootstrap over independent repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 5_000


@dataclass(frozen=True)
class Estimate:
    """A mean with its bootstrap interval; `low` and `high` are None where n < 2."""

    value: float
    low: float | None
    high: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """Half the length of the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def mean_interval(groups: Sequence[Sequence[float]], seed: int = 0) -> Estimate:
    """Return the mean of group means, with a 95 % interval that resamples within groups.

    A group is one point of a sweep, its values the repetitions (seeds) there: repetitions are
    drawn, points of the sweep are not, since a sweep's points are chosen (stratified bootstrap).
    Groups with one value each are drawn as one sample, for want of repetitions. The interval is
    the bias-corrected accelerated one (Efron 1987) for a single group, the percentile one for
    several. The draws depend on `seed` alone.

    Raises:
        ValueError: no value at all.
    """
    arrays = [np.asarray(group, dtype=float) for group in groups if len(group)]
    if not arrays:
        raise ValueError("no values")
    if len(arrays) > 1 and all(len(a) == 1 for a in arrays):
        arrays = [np.concatenate(arrays)]
    value = float(np.mean([a.mean() for a in arrays]))
    n = sum(len(a) for a in arrays)
    if n < 2:
        return Estimate(value, None, None, n)
    if all(np.ptp(a) == 0 for a in arrays):
        return Estimate(value, value, value, n)
    low, high = _bca(arrays[0], seed) if len(arrays) == 1 else _stratified(arrays, seed)
    return Estimate(value, low, high, n)


def _bca(values: np.ndarray, seed: int) -> tuple[float, float]:
    from scipy import stats

    middle, spread = values.mean(), np.ptp(values)
    scaled = (values - middle) / spread  # so that no cube or square leaves the range of a float
    with np.errstate(all="ignore"):
        found = stats.bootstrap(
            (scaled,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method="BCa" if len(values) > 2 else "percentile",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    if not np.isfinite([found.low, found.high]).all():
        return _stratified([values], seed)
    return float(middle + spread * found.low), float(middle + spread * found.high)


def _stratified(arrays: Sequence[np.ndarray], seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    means = [
        a[rng.integers(len(a), size=(RESAMPLES, len(a)))].mean(axis=1) for a in arrays
    ]
    tail = (1 - CONFIDENCE) / 2 * 100
    low, high = np.percentile(np.mean(means, axis=0), [tail, 100 - tail])
    return float(low), float(high)
