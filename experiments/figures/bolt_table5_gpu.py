"""RepVGG's variants on simulated GPUs, as Table 5."""

from __future__ import annotations

from experiments.figures.tuning_gpu_repvgg import draw, points

__all__ = ["draw", "points"]
