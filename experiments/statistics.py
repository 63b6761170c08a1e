"""Intervals of means and of paired ratios, by bootstrap over independent repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 5_000
TIE = 1e-9


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


def geometric_mean_interval(groups: Sequence[Sequence[float]], seed: int = 0) -> Estimate | None:
    """Return the same of the geometric mean; None where a value is not positive."""
    if not all(value > 0 for group in groups for value in group):
        return None
    found = mean_interval([np.log(group).tolist() for group in groups], seed)
    low, high = (None if end is None else float(np.exp(end)) for end in (found.low, found.high))
    return Estimate(float(np.exp(found.value)), low, high, found.n)


def _bca(values: np.ndarray, seed: int) -> tuple[float, float]:
    """Return the bias-corrected accelerated interval of the mean, the percentile one for n = 2."""
    if len(values) < 3:
        return _stratified([values], seed)
    middle, spread = values.mean(), np.ptp(values)
    scaled = (values - middle) / spread  # so that no cube leaves the range of a float
    rng = np.random.default_rng(seed)
    means = scaled[rng.integers(len(scaled), size=(RESAMPLES, len(scaled)))].mean(axis=1)
    # Half of the ties count as below; rounding must not decide what is one.
    below = (np.mean(means < -TIE) + np.mean(means <= TIE)) / 2
    normal = NormalDist()
    bias = normal.inv_cdf(float(np.clip(below, 1 / RESAMPLES, 1 - 1 / RESAMPLES)))
    acceleration = float((scaled**3).sum() / (6 * (scaled**2).sum() ** 1.5))
    shares = []
    for tail in ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2):
        shifted = bias + normal.inv_cdf(tail)
        shares.append(100 * normal.cdf(bias + shifted / (1 - acceleration * shifted)))
    low, high = np.percentile(means, shares)
    return float(middle + spread * low), float(middle + spread * high)


def _stratified(arrays: Sequence[np.ndarray], seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    means = [a[rng.integers(len(a), size=(RESAMPLES, len(a)))].mean(axis=1) for a in arrays]
    tail = (1 - CONFIDENCE) / 2 * 100
    low, high = np.percentile(np.mean(means, axis=0), [tail, 100 - tail])
    return float(low), float(high)
