"""GEMMs against the vendors' libraries and MetaSchedule (Fig. 1 and 8a, on a CPU)."""

from __future__ import annotations

from experiments.figures.tuning_speed import draw, points

__all__ = ["draw", "points"]
