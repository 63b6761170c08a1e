"""From a few operators of a network to all of them: which are measured, and the range it gives."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

WHOLE = ("metaschedule_s", "metaschedule_low_s", "metaschedule_high_s")


def spread(count: int, wanted: int) -> list[int]:
    """Return at most `wanted` places among `count` sorted things, the middles of equal parts.

    The largest alone, or the smallest, would be no sample of all.
    """
    parts = min(count, wanted)
    return [(2 * part + 1) * count // (2 * parts) for part in range(parts)]


def extrapolated(seconds: Sequence[float], count: int) -> dict[str, float | None]:
    """Return the metrics `WHOLE`: `count` times the mean, least and greatest of `seconds`.

    All are None if nothing was measured.
    """
    if not seconds:
        return dict.fromkeys(WHOLE)
    values = (fmean(seconds), min(seconds), max(seconds))
    return {name: count * value for name, value in zip(WHOLE, values, strict=True)}
