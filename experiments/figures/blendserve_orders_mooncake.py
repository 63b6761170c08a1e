"""Orders on the Mooncake conversation trace: gains, prefix hits, use of the GPU over time."""

from __future__ import annotations

from experiments.figures.serving_orders import draw_trace as draw
from experiments.figures.serving_orders import trace_points as points

__all__ = ["draw", "points"]
