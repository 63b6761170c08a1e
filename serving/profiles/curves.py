"""Measured times by a count, such as tokens of a batch: reading, and tables for every count."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serving.traces.base import TraceError, count
from serving.traces.columns import read_columns

NS_PER_US = 1e3


@dataclass(frozen=True, eq=False)
class Curve:
    """Times at k counts.

    Attributes:
        counts: float64[k], rising, from 1 on.
        ns: float64[k], time at each.
    """

    counts: NDArray[np.float64]
    ns: NDArray[np.float64]

    @property
    def last(self) -> int:
        """The largest count that was measured."""
        return int(self.counts[-1])

    def table(self, last: int) -> NDArray[np.float64]:
        """Return float64[last + 1]: ns by count, 0 at 0, linear between measured counts.

        Raises:
            ValueError: nothing was measured at `last` or above.
        """
        if last > self.last:
            raise ValueError(f"measured up to {self.last} tokens, not up to {last}")
        times = np.interp(np.arange(last + 1), self.counts, self.ns)
        times[0] = 0.0
        return times


def curve(points: dict[int, float]) -> Curve:
    """Return the curve through count -> ns, of which there is at least one."""
    counts = np.array(sorted(points), np.float64)
    return Curve(counts, np.array([points[int(c)] for c in counts], np.float64))


def read_curves(path: Path, by: str) -> dict[str, Curve]:
    """Read rows `layer,<by>,time_us` and return a curve for each layer.

    Raises:
        TraceError: the file or a row is malformed, or a count is there twice.
    """
    points: dict[str, dict[int, float]] = {}
    for row, fields in read_columns(path, ("layer", by, "time_us")):
        own = points.setdefault(fields["layer"].strip(), {})
        at = count(path, row, by, fields[by])
        if at in own:
            raise TraceError(path, row, by, f"{fields['layer']} at {at} is there twice")
        own[at] = positive(path, row, "time_us", fields["time_us"]) * NS_PER_US
    if not points:
        raise TraceError(path, None, None, "holds no measurement")
    return {layer: curve(own) for layer, own in points.items()}


def picked(path: Path, curves: dict[str, Curve], layers: dict[str, int]) -> dict[str, Curve]:
    """Return the curves of `layers`.

    Raises:
        TraceError: one is missing, or there is one that nobody asked for.
    """
    missing, strange = sorted(set(layers) - set(curves)), sorted(set(curves) - set(layers))
    if missing:
        raise TraceError(path, None, "layer", f"{missing[0]!r} is missing; found {sorted(curves)}")
    if strange:
        message = f"{strange[0]!r} is unknown; allowed are {sorted(layers)}"
        raise TraceError(path, None, "layer", message)
    return curves


def positive(path: Path, row: int, field: str, text: str) -> float:
    """Return a number above 0.

    Raises:
        TraceError: it is none, or not finite.
    """
    value = not_negative(path, row, field, text)
    if value == 0.0:
        raise TraceError(path, row, field, "must be above 0")
    return value


def not_negative(path: Path, row: int, field: str, text: str) -> float:
    """Return a number from 0 on.

    Raises:
        TraceError: it is none, or not finite.
    """
    try:
        value = float(text) if text.isascii() else math.nan
    except ValueError:
        value = math.nan
    if not 0.0 <= value < 1e15:
        shown = text if len(text) <= 40 else text[:37] + "..."
        raise TraceError(path, row, field, f"{shown!r} is no number from 0 on")
    return value
