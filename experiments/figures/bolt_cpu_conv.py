"""ResNet-50's 3x3 convolutions against the libraries and MetaSchedule (Fig. 8b, on a CPU)."""

from __future__ import annotations

from experiments.figures.tuning_speed import draw, points

__all__ = ["draw", "points"]
